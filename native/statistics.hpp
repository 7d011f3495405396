// What a dictionary step needs of sparse codes, and nothing that grows with the image:
//   gram         A_jk(τ) = Σ_u z_j(u) z_k(u + τ)      τ = (dy, dx) with 0 ≤ dy < h, |dx| < w; A_kj(−τ) is the same number
//   correlation  B_k(c, i) = Σ_u z_k(u) s(c, u + i)
// Cost is non-zeros × neighbours within a kernel's reach. Sums are in double; each entry is written by one thread only, in
// the order of the codes, so that any number of threads gives the same bits.
#pragma once

#include <cstdint>

namespace unconv {

template <class T>
struct SparseCodes {  // sorted by kernel, then row-major by position
    int64_t count;
    const int64_t *kernels, *rows, *columns;
    const T* values;
};

struct StatisticsShape {
    int64_t kernels, channels, kernel_height, kernel_width;
    int64_t code_height, code_width;
    bool circular;
};

// Adds scale × A (kernels, kernels, h, 2w − 1) to `gram` and scale × B (kernels, channels, h, w) to `correlation`.
// `canvas` (channels, code_height + h − 1, code_width + w − 1) is the image as the kernels at all positions see it.
template <class T>
void add_statistics(const SparseCodes<T>&, const T* canvas, const StatisticsShape&, double scale, int threads,
                    double* gram, double* correlation);

}  // namespace unconv
