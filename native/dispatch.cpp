// Which kernels this processor runs. UNCONV_INSTRUCTIONS=baseline|avx2|avx512 asks for fewer than it could.
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "kernels.hpp"

namespace unconv {

#define UNCONV_DECLARE(target)            \
    namespace target {                    \
    const Kernels<float>& single();       \
    const Kernels<double>& twofold();     \
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

template <class T>
const Kernels<T>& choose() {
#define UNCONV_TABLE(target) (*[]() -> const Kernels<T>* { \
    if constexpr (std::is_same_v<T, float>) return &target::single(); \
    else return &target::twofold(); }())
#ifdef UNCONV_X86
    switch (level()) {
        case Level::avx512: return UNCONV_TABLE(avx512);
        case Level::avx2: return UNCONV_TABLE(avx2);
        default: break;
    }
#endif
    return UNCONV_TABLE(baseline);
#undef UNCONV_TABLE
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
    return choose<float>();
}

template <>
const Kernels<double>& kernels<double>() {
    return choose<double>();
}

}  // namespace unconv
