// Convolutional sparse coding of one image:  minimise  P(z) = ½‖W(s − Σ_k d_k ∗ z_k)‖² + Σ_i λ_i |z_i|.
//
// Working set and coordinate descent on the residual. In turns:
//   scan     correlate the residual with all kernels, row by row; this gives the duality gap, and the positions where
//            |⟨d_k, W² r⟩| > λ: the largest of each neighbourhood join the working set;
//   descend  cyclic coordinate descent over the working set, tile by tile.
// Memory is the image, its residual and the coefficients that are not zero; never kernels × positions.
// The order of all arithmetic is fixed by the tiles, not by the threads: any number of threads gives the same bits.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "threads.hpp"

namespace unconv {

enum class Boundary { crop, valid, circular };

// λ of a strip of code rows [first, last): asked for where needed, never held for the whole image.
template <class T>
struct Penalty {
    enum class Kind { per_kernel, per_position, inverse_correlation, from_correlation } kind;
    const T* values = nullptr;                     // per_kernel: (kernels); per_position: the caller's array
    int64_t strides[3] = {0, 0, 0};                // per_position: kernel, row, column; 0 where it is broadcast
    T scale = 0, power = 0, floor = 0;             // inverse_correlation: scale / max(|DᵀW²s|^power, floor)
    // from_correlation: reads (kernels, rows, columns) correlations, writes penalties of the same shape.
    std::function<void(const T* correlation, T* penalty, int64_t first, int64_t last)> function;
};

template <class T>
struct Start {
    int64_t count = 0;
    const int64_t *kernels = nullptr, *rows = nullptr, *columns = nullptr;
    const T* values = nullptr;
};

template <class T>
struct Problem {
    const T* image;         // (channels, height, width)
    const T* dictionary;    // (kernels, channels, kernel_height, kernel_width)
    const T* weight;        // W: (weight_channels, height, width), or nullptr
    int64_t channels, height, width;
    int64_t kernels, kernel_height, kernel_width;
    int64_t weight_channels;
    Boundary boundary;
    bool nonnegative;
    Penalty<T> penalty;
    Start<T> start;

    T pixel(int64_t channel, int64_t y, int64_t x) const { return image[(channel * height + y) * width + x]; }
    int64_t code_height() const { return code_size(height, kernel_height); }
    int64_t code_width() const { return code_size(width, kernel_width); }

private:
    int64_t code_size(int64_t size, int64_t kernel) const {
        return boundary == Boundary::crop ? size + kernel - 1 : boundary == Boundary::valid ? size - kernel + 1 : size;
    }
};

struct Settings {
    double tol = 1e-3;
    int64_t max_steps = 500;
    int threads = 1;
    Interrupted interrupted;
};

struct Moment {
    double seconds, objective, gap;
};

template <class T>
struct Codes {
    std::vector<int32_t> kernels, rows, columns;
    std::vector<T> values;
};

template <class T>
struct Solution {
    Codes<T> codes;
    double objective = 0, gap = 0, ratio = 0;  // ratio: max_i |⟨d_i, W² r⟩| / λ_i
    int64_t steps = 0;
    bool converged = false, cancelled = false;
    std::vector<Moment> trace;
};

template <class T>
Solution<T> solve(const Problem<T>&, const Settings&);

}  // namespace unconv
