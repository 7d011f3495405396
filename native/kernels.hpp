// The inner loops that decide the speed, as a table of functions: one table for each set of instructions and number type.
//
// Everything is two-dimensional and single-channel here. Channels lie interleaved along a row, so that a kernel of
// w columns and C channels is a kernel of w·C columns whose positions step by C; a signal is an image of one row.
#pragma once

#include <cstdint>

namespace unconv {

// One coefficient of the working set. `offset` leads from the tile's origin to the first element under the kernel.
template <class T>
struct Entry {
    int32_t offset;
    int32_t kernel;
    T value;
    T penalty;    // λ_i
    T curvature;  // ‖W d_i‖²
};

// The dictionary as the sweeps read it: taps[kernel][row][pitch], zeros behind the end of a row.
template <class T>
struct Taps {
    const T* taps;
    const int32_t* rows;  // of each kernel: rows below hold zeros and are not visited
    int64_t height;
    int64_t pitch;
    int64_t row_length;  // columns × channels, ≤ pitch
};

// The extended image: every window of every position lies inside. residual = W²(s − D z).
template <class T>
struct Field {
    T* residual;
    const T* weight;  // W², nullptr where all is 1
    int64_t stride;   // elements from row to row
    // Circular images repeat their first rows and columns at the end; 0 where nothing repeats.
    int64_t wrap_rows;
    int64_t wrap_columns;  // in elements
    int64_t rows;
    int64_t columns;  // in elements
};

template <class T>
struct Window {
    int64_t row;     // of the tile's origin in the extended image
    int64_t column;  // in elements
};

template <class T>
struct SweepResult {
    T largest;  // max |δ_i| · curvature_i / λ_i: how far the worst gradient was from its optimum
    int64_t changed;
};

// Blocks of kernels side by side, for the correlation of all kernels at once: taps[block][channel][row][column][lane].
template <class T>
struct Blocks {
    const T* taps;
    const int32_t* rows;     // of each block
    const int32_t* columns;  // of each block
    int64_t count;
    int64_t channels;
    int64_t height;
    int64_t width;
};

// One kernel's correlations along a row, and what they are compared with.
template <class T>
struct Row {
    const T* correlation;
    const T* penalty;  // one for each position, or one for all where it is constant
    bool constant;
    T inverse_norm;
    T threshold;
    int32_t kernel;
    bool nonnegative;
};

template <class T>
struct Best {
    T* score;          // for each position; starts at 0
    int32_t* kernel;
    T ratio;           // max |c| / λ
    int64_t violators;
};

template <class T>
struct Kernels {
    const char* name;
    int64_t narrow;      // vector lengths that the sweeps can use
    int64_t wide;
    int64_t block;       // kernels in one block of the correlation
    int64_t span;        // positions that one step of the correlation makes; inputs and outputs are padded to it

    // One cyclic pass of coordinate descent, in the order of the entries.
    SweepResult<T> (*sweep)(const Field<T>&, const Taps<T>&, Window<T>, Entry<T>*, Entry<T>*, bool only_active,
                            bool nonnegative);
    // residual += factor · value · W² · kernel, for all entries that are not zero.
    void (*add)(const Field<T>&, const Taps<T>&, Window<T>, const Entry<T>*, const Entry<T>*, T factor);
    // out[i] = ⟨kernel, window⟩ of entry i.
    void (*gather)(const Field<T>&, const Taps<T>&, Window<T>, const Entry<T>*, const Entry<T>*, T* out);
    // Per position the kernel whose coefficient would move most, (|c| − λ)/‖d_k‖, where |c| > threshold · λ.
    void (*compare)(const Row<T>&, int64_t width, Best<T>&);
    // out[kernel · out_stride + x] = ⟨kernel, input window at x⟩ for x in [0, width).
    void (*correlate)(const T* input, int64_t channel_stride, int64_t row_stride, const Blocks<T>&, T* out,
                      int64_t out_stride, int64_t width);
};

template <class T>
const Kernels<T>& kernels();  // the best that this processor runs, or what UNCONV_INSTRUCTIONS names

}  // namespace unconv
