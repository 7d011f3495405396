// The extended image, on which every position's window lies inside, and the dictionary laid out for the kernels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels.hpp"
#include "solver.hpp"

namespace unconv {

template <class T>
struct Layout {
    const Problem<T>& problem;
    int64_t code_rows, code_columns;   // positions
    int64_t rows, columns;             // of the extended image, columns in pixels
    int64_t top, left;                 // where the image begins in it
    int64_t row_length, pitch, stride; // of a kernel's row, the same padded to vectors, of the extended image

    explicit Layout(const Problem<T>& p, const Kernels<T>& kernels)
        : problem(p), code_rows(p.code_height()), code_columns(p.code_width()) {
        rows = code_rows + p.kernel_height - 1;
        columns = code_columns + p.kernel_width - 1;
        top = p.boundary == Boundary::crop ? p.kernel_height - 1 : 0;
        left = p.boundary == Boundary::crop ? p.kernel_width - 1 : 0;
        row_length = p.kernel_width * p.channels;
        const auto padded = [&](int64_t n) { return (row_length + n - 1) / n * n; };
        pitch = padded(kernels.wide) > padded(kernels.narrow) ? padded(kernels.narrow) : padded(kernels.wide);
        stride = columns * p.channels + pitch - row_length;
    }

    int64_t elements() const { return rows * stride + pitch; }

    Field<T> field(T* residual, const T* weight) const {
        const bool wraps = problem.boundary == Boundary::circular;
        return {residual, weight, stride, wraps ? problem.height : 0, wraps ? problem.width * problem.channels : 0,
                rows, columns * problem.channels};
    }

    // The same for adding to a plane of zeros; `join_copies` has to follow.
    Field<T> field_without_copies(T* plane, const T* weight) const {
        return {plane, weight, stride, 0, 0, rows, columns * problem.channels};
    }

    // In a circular image: what `combine(original, copy)` makes of a pixel and its copies, for all of them.
    template <class Combine>
    void join_copies(T* plane, Combine&& combine) const {
        if (problem.boundary != Boundary::circular) return;
        const int64_t width = columns * problem.channels, period = problem.width * problem.channels;
        for (int64_t row = rows - 1; row >= problem.height; --row)
            for (int64_t x = 0; x < width; ++x)
                combine(plane[(row - problem.height) * stride + x], plane[row * stride + x]);
        for (int64_t row = 0; row < problem.height; ++row) {
            T* line = plane + row * stride;
            for (int64_t x = width - 1; x >= period; --x) combine(line[x - period], line[x]);
            for (int64_t x = period; x < width; ++x) line[x] = line[x - period];
        }
        for (int64_t row = problem.height; row < rows; ++row)
            std::copy_n(plane + (row - problem.height) * stride, width, plane + row * stride);
    }

    // body(extended row, extended column in pixels, image row, image column) for every pixel of these extended rows.
    template <class Body>
    void each_pixel(int64_t first_row, int64_t last_row, Body&& body) const {
        const bool wraps = problem.boundary == Boundary::circular;
        for (int64_t row = first_row; row < last_row; ++row) {
            const int64_t y = wraps ? row % problem.height : row - top;
            if (y < 0 || y >= problem.height) continue;
            const int64_t from = wraps ? 0 : left, to = wraps ? columns : left + problem.width;
            for (int64_t column = from; column < to; ++column)
                body(row, column, y, wraps ? (column >= problem.width ? column - problem.width : column) : column - left);
        }
    }
};

template <class T>
struct Dictionary {
    std::vector<T> taps, blocked, norms;  // ‖d_k‖²
    std::vector<int32_t> rows, columns, block_rows, block_columns;
    int64_t block_count, height, pitch, row_length, channels, width, lanes;

    Dictionary(const Problem<T>& p, const Layout<T>& layout, const Kernels<T>& kernels)
        : taps(p.kernels * p.kernel_height * layout.pitch, T(0)), norms(p.kernels, T(0)), rows(p.kernels, 0),
          columns(p.kernels, 0), height(p.kernel_height), pitch(layout.pitch), row_length(layout.row_length),
          channels(p.channels), width(p.kernel_width), lanes(kernels.block) {
        block_count = (p.kernels + lanes - 1) / lanes;
        blocked.assign(block_count * channels * height * width * lanes, T(0));
        block_rows.assign(block_count, 0);
        block_columns.assign(block_count, 0);
        for (int64_t k = 0; k < p.kernels; ++k) {
            double norm = 0;
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t i = 0; i < height; ++i)
                    for (int64_t j = 0; j < width; ++j) {
                        const T tap = p.dictionary[((k * channels + c) * height + i) * width + j];
                        taps[(k * height + i) * pitch + j * channels + c] = tap;
                        blocked[(((k / lanes * channels + c) * height + i) * width + j) * lanes + k % lanes] = tap;
                        if (tap == 0) continue;
                        norm += double(tap) * double(tap);
                        rows[k] = std::max<int32_t>(rows[k], static_cast<int32_t>(i + 1));
                        columns[k] = std::max<int32_t>(columns[k], static_cast<int32_t>(j + 1));
                    }
            norms[k] = static_cast<T>(norm);
            block_rows[k / lanes] = std::max(block_rows[k / lanes], rows[k]);
            block_columns[k / lanes] = std::max(block_columns[k / lanes], columns[k]);
        }
    }

    Taps<T> for_sweeps() const { return {taps.data(), rows.data(), height, pitch, row_length}; }

    Blocks<T> for_correlation() const {
        return {blocked.data(), block_rows.data(), block_columns.data(), block_count, channels, height, width};
    }
};

}  // namespace unconv
