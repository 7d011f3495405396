// Which kernels this processor runs. UNCONV_INSTRUCTIONS=baseline|avx2|avx512 asks for fewer than it could.
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "kernels.hpp"
#include "pixels.hpp"

namespace unconv {

#define UNCONV_DECLARE(target)                    \
    namespace target {                            \
    const Kernels<float>& single();               \
    const Kernels<double>& twofold();             \
    const PixelKernels<float>& single_pixels();   \
    const PixelKernels<double>& twofold_pixels(); \
    }
UNCONV_DECLARE(baseline)
#ifdef UNCONV_X86
UNCONV_DECLARE(avx2)
UNCONV_DECLARE(avx512)
#endif
#undef UNCONV_DECLARE

namespace {

enum class Level { baseline, avx2, avx512 };

Level level() {
    Level best = Level::baseline;
#ifdef UNCONV_X86
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Level::avx2;
    if (best == Level::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        best = Level::avx512;
#endif
    if (const char* wanted = std::getenv("UNCONV_INSTRUCTIONS")) {
        if (!std::strcmp(wanted, "baseline")) return Level::baseline;
        if (!std::strcmp(wanted, "avx2") && best >= Level::avx2) return Level::avx2;
    }
    return best;
}

// The table of the best instructions, of single or double numbers.
#define UNCONV_TABLE(target, single, twofold) \
    if constexpr (std::is_same_v<T, float>) return target::single(); \
    else return target::twofold();
#ifdef UNCONV_X86
#define UNCONV_CHOOSE(single, twofold)                                       \
    switch (level()) {                                                       \
        case Level::avx512: UNCONV_TABLE(avx512, single, twofold)            \
        case Level::avx2: UNCONV_TABLE(avx2, single, twofold)                \
        default: UNCONV_TABLE(baseline, single, twofold)                     \
    }
#else
#define UNCONV_CHOOSE(single, twofold) UNCONV_TABLE(baseline, single, twofold)
#endif

}  // namespace

template <class T>
const Kernels<T>& kernels() {
    UNCONV_CHOOSE(single, twofold)
}

template <class T>
const PixelKernels<T>& pixel_kernels() {
    UNCONV_CHOOSE(single_pixels, twofold_pixels)
}

template const Kernels<float>& kernels<float>();
template const Kernels<double>& kernels<double>();
template const PixelKernels<float>& pixel_kernels<float>();
template const PixelKernels<double>& pixel_kernels<double>();

}  // namespace unconv
