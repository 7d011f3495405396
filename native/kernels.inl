// Body of the kernel tables, compiled once for each set of instructions. Before it: UNCONV_TARGET (a namespace),
// UNCONV_NAME (a string), UNCONV_BYTES (of the widest vector), UNCONV_BLOCK × UNCONV_VECTORS accumulators.
#include <cmath>

#include "compare.inl"
#include "kernels.hpp"
#include "vectors.inl"

namespace unconv::UNCONV_TARGET {

// M vectors of N elements make a row; M = 0: the row's length is known when it runs.
template <class T, int N, int M>
inline T dot(const T* kernel, const T* window, int64_t rows, int64_t pitch, int64_t stride) {
    if constexpr (M == 0) {
        Vector<T, N> a{}, b{};
        for (int64_t i = 0; i < rows; ++i, kernel += pitch, window += stride) {
            int64_t j = 0;
            for (; j + 2 * N <= pitch; j += 2 * N) {
                a += load<T, N>(kernel + j) * load<T, N>(window + j);
                b += load<T, N>(kernel + j + N) * load<T, N>(window + j + N);
            }
            if (j < pitch) a += load<T, N>(kernel + j) * load<T, N>(window + j);
        }
        return sum<T, N>(a + b);
    } else {
        constexpr int unroll = M == 1 ? 4 : M == 2 ? 2 : 1;
        Vector<T, N> partial[unroll * M] = {};
        int64_t i = 0;
        for (; i + unroll <= rows; i += unroll) {
#pragma GCC unroll 4
            for (int u = 0; u < unroll; ++u) {
#pragma GCC unroll 4
                for (int m = 0; m < M; ++m)
                    partial[u * M + m] += load<T, N>(kernel + u * (M * N) + m * N) * load<T, N>(window + m * N);
                window += stride;
            }
            kernel += unroll * M * N;
        }
        for (; i < rows; ++i, kernel += M * N, window += stride)
            for (int m = 0; m < M; ++m) partial[m] += load<T, N>(kernel + m * N) * load<T, N>(window + m * N);
        Vector<T, N> total = partial[0];
#pragma GCC unroll 4
        for (int u = 1; u < unroll * M; ++u) total += partial[u];
        return sum<T, N>(total);
    }
}

// window += factor · kernel, weighted where there is a weight.
template <class T, int N, int M, bool Weighted>
inline void axpy(T factor, const T* kernel, T* window, const T* weight, int64_t rows, int64_t pitch, int64_t stride) {
    const int64_t length = M == 0 ? pitch : M * N;
    for (int64_t i = 0; i < rows; ++i, kernel += length, window += stride) {
#pragma GCC unroll 4
        for (int64_t j = 0; j < length; j += N) {
            Vector<T, N> d = factor * load<T, N>(kernel + j);
            if constexpr (Weighted) d *= load<T, N>(weight + j);
            store<T, N>(window + j, load<T, N>(window + j) + d);
        }
        if constexpr (Weighted) weight += stride;
    }
}

// In a circular image a pixel near the start appears again at the end: bring the copies along.
template <class T, int N, int M, bool Weighted>
void add_to_copies(T factor, const T* kernel, const Field<T>& field, int64_t row, int64_t column, int64_t rows,
                   int64_t pitch, int64_t row_length) {
    for (int64_t a = -1; a <= 1; ++a) {
        const int64_t top = row + a * field.wrap_rows, first_row = top < 0 ? -top : 0;
        const int64_t last_row = rows < field.rows - top ? rows : field.rows - top;
        if (first_row >= last_row) continue;
        const T* taps = kernel + first_row * pitch;
        for (int64_t b = -1; b <= 1; ++b) {
            const int64_t left = column + b * field.wrap_columns, first_column = left < 0 ? -left : 0;
            const int64_t last_column = row_length < field.columns - left ? row_length : field.columns - left;
            if ((a == 0 && b == 0) || first_column >= last_column) continue;
            const int64_t at = (top + first_row) * field.stride + left;
            if (b == 0) {
                axpy<T, N, M, Weighted>(factor, taps, field.residual + at, Weighted ? field.weight + at : nullptr,
                                        last_row - first_row, pitch, field.stride);
                continue;
            }
            for (int64_t i = 0; i < last_row - first_row; ++i)
                for (int64_t j = first_column; j < last_column; ++j) {
                    const int64_t to = at + i * field.stride + j;
                    field.residual[to] += factor * taps[i * pitch + j] * (Weighted ? field.weight[to] : T(1));
                }
        }
    }
}

template <class T>
inline bool repeats(const Field<T>& field, int64_t row, int64_t column, int64_t rows, int64_t row_length) {
    const int64_t again_rows = field.rows - field.wrap_rows, again_columns = field.columns - field.wrap_columns;
    return row < again_rows || row + rows > field.wrap_rows || column < again_columns ||
           column + row_length > field.wrap_columns;
}

template <class T, int N, int M, bool Weighted, bool Wraps>
inline void update(T factor, const Field<T>& field, const Taps<T>& taps, Window<T> origin, int64_t base,
                   const Entry<T>& entry) {
    const T* kernel = taps.taps + entry.kernel * taps.height * taps.pitch;
    const int64_t rows = taps.rows[entry.kernel], at = base + entry.offset;
    axpy<T, N, M, Weighted>(factor, kernel, field.residual + at, Weighted ? field.weight + at : nullptr, rows, taps.pitch,
                            field.stride);
    if constexpr (Wraps) {
        (void)origin;
        const int64_t row = at / field.stride, column = at % field.stride;
        if (repeats(field, row, column, rows, taps.row_length))
            add_to_copies<T, N, M, Weighted>(factor, kernel, field, row, column, rows, taps.pitch, taps.row_length);
    }
}

// z_i ← S(z_i c_i + ⟨d_i, residual⟩, λ_i) / c_i, the exact minimum along coordinate i, and the residual with it.
template <class T, int N, int M, bool Weighted, bool Wraps>
SweepResult<T> sweep_as(const Field<T>& field, const Taps<T>& taps, Window<T> origin, Entry<T>* entry, Entry<T>* end,
                        bool only_active, bool nonnegative) {
    const int64_t base = origin.row * field.stride + origin.column;
    SweepResult<T> result{0, 0};
    for (; entry != end; ++entry) {
        if (only_active && entry->value == 0) continue;
        const T* kernel = taps.taps + entry->kernel * taps.height * taps.pitch;
        const T gradient = dot<T, N, M>(kernel, field.residual + base + entry->offset, taps.rows[entry->kernel], taps.pitch,
                                        field.stride);
        const T wanted = entry->value * entry->curvature + gradient;
        const T size = std::fabs(wanted) - entry->penalty;
        T value = 0;
        if (size > 0 && !(nonnegative && wanted < 0)) value = std::copysign(size, wanted) / entry->curvature;
        const T delta = value - entry->value;
        if (delta == 0) continue;
        entry->value = value;
        ++result.changed;
        const T moved = std::fabs(delta) * entry->curvature / entry->penalty;
        if (moved > result.largest) result.largest = moved;
        update<T, N, M, Weighted, Wraps>(-delta, field, taps, origin, base, *entry);
    }
    return result;
}

template <class T, int N, int M, bool Weighted, bool Wraps>
void add_as(const Field<T>& field, const Taps<T>& taps, Window<T> origin, const Entry<T>* entry, const Entry<T>* end,
            T factor) {
    const int64_t base = origin.row * field.stride + origin.column;
    for (; entry != end; ++entry)
        if (entry->value != 0)
            update<T, N, M, Weighted, Wraps>(factor * entry->value, field, taps, origin, base, *entry);
}

// Calls `body` with the vector length, vectors a row, and the two flags as constants.
template <class T, class Body>
auto specialised(const Field<T>& field, const Taps<T>& taps, Body&& body) {
    constexpr int wide = UNCONV_BYTES / sizeof(T), narrow = UNCONV_BYTES > 16 ? wide / 2 : wide;
    const auto flags = [&]<int N, int M>() {
        if (field.wrap_rows)
            return field.weight ? body.template operator()<N, M, true, true>() : body.template operator()<N, M, false, true>();
        return field.weight ? body.template operator()<N, M, true, false>() : body.template operator()<N, M, false, false>();
    };
    const auto rows = [&]<int N>() {
        switch (taps.pitch / N) {
            case 1: return flags.template operator()<N, 1>();
            case 2: return flags.template operator()<N, 2>();
            case 3: return flags.template operator()<N, 3>();
            default: return flags.template operator()<N, 0>();
        }
    };
    if (taps.pitch % wide == 0) return rows.template operator()<wide>();
    return rows.template operator()<narrow>();
}

template <class T>
SweepResult<T> sweep(const Field<T>& field, const Taps<T>& taps, Window<T> origin, Entry<T>* begin, Entry<T>* end,
                     bool only_active, bool nonnegative) {
    return specialised<T>(field, taps, [&]<int N, int M, bool Weighted, bool Wraps>() {
        return sweep_as<T, N, M, Weighted, Wraps>(field, taps, origin, begin, end, only_active, nonnegative);
    });
}

template <class T>
void add(const Field<T>& field, const Taps<T>& taps, Window<T> origin, const Entry<T>* begin, const Entry<T>* end,
         T factor) {
    specialised<T>(field, taps, [&]<int N, int M, bool Weighted, bool Wraps>() {
        add_as<T, N, M, Weighted, Wraps>(field, taps, origin, begin, end, factor);
    });
}

template <class T>
void correlate(const T* input, int64_t channel_stride, int64_t row_stride, const Blocks<T>& blocks, T* out,
               int64_t out_stride, int64_t width) {
    constexpr int N = UNCONV_BYTES / sizeof(T), B = UNCONV_BLOCK, X = UNCONV_VECTORS;
    const int64_t taps_of_block = blocks.channels * blocks.height * blocks.width * B;
    for (int64_t x = 0; x < width; x += N * X) {
        for (int64_t block = 0; block < blocks.count; ++block) {
            Vector<T, N> total[B][X] = {};
            for (int64_t c = 0; c < blocks.channels; ++c) {
                for (int64_t i = 0; i < blocks.rows[block]; ++i) {
                    const T* from = input + c * channel_stride + i * row_stride + x;
                    const T* taps = blocks.taps + block * taps_of_block + (c * blocks.height + i) * blocks.width * B;
                    for (int64_t j = 0; j < blocks.columns[block]; ++j, ++from, taps += B) {
                        Vector<T, N> seen[X];
#pragma GCC unroll 8
                        for (int v = 0; v < X; ++v) seen[v] = load<T, N>(from + v * N);
#pragma GCC unroll 8
                        for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
                            for (int v = 0; v < X; ++v) total[b][v] += taps[b] * seen[v];
                    }
                }
            }
#pragma GCC unroll 8
            for (int b = 0; b < B; ++b)
#pragma GCC unroll 8
                for (int v = 0; v < X; ++v) store<T, N>(out + (block * B + b) * out_stride + x + v * N, total[b][v]);
        }
    }
}

template <class T>
void gather(const Field<T>& field, const Taps<T>& taps, Window<T> origin, const Entry<T>* entry, const Entry<T>* end,
            T* out) {
    const T* from = field.residual + origin.row * field.stride + origin.column;
    specialised<T>({field.residual, nullptr, field.stride, 0, 0, 0, 0}, taps, [&]<int N, int M, bool, bool>() {
        for (; entry != end; ++entry, ++out)
            *out = dot<T, N, M>(taps.taps + entry->kernel * taps.height * taps.pitch, from + entry->offset,
                                taps.rows[entry->kernel], taps.pitch, field.stride);
    });
}

template <class T>
constexpr Kernels<T> table = {UNCONV_NAME,
                              UNCONV_BYTES > 16 ? UNCONV_BYTES / 2 / int64_t(sizeof(T)) : UNCONV_BYTES / int64_t(sizeof(T)),
                              UNCONV_BYTES / int64_t(sizeof(T)),
                              UNCONV_BLOCK,
                              UNCONV_VECTORS * UNCONV_BYTES / int64_t(sizeof(T)),
                              sweep<T>,
                              add<T>,
                              gather<T>,
                              compare<T>,
                              correlate<T>};

const Kernels<float>& single() { return table<float>; }
const Kernels<double>& twofold() { return table<double>; }

}  // namespace unconv::UNCONV_TARGET
