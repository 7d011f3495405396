// The scan: correlations of the residual with all kernels, strip by strip, and what they say.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "plane.hpp"
#include "threads.hpp"

namespace unconv {

template <class T>
struct Candidate {
    int32_t row, column, kernel;
    T penalty;
    T ratio = 0;  // |⟨d_i, W² r⟩| / λ_i
};

template <class T>
struct ScanResult {
    T ratio = 0;             // max_i |⟨d_i, W² r⟩| / λ_i
    int64_t violators = 0;   // positions and kernels with more than `threshold`
    std::vector<std::vector<Candidate<T>>> strips;  // those chosen to join the working set
};

template <class T>
class Scanner {
public:
    static constexpr int64_t strip_rows = 8, chunk = 240;
    static constexpr T nearly = T(0.4);

    // `reference` is W² s in the extended image, needed where penalties depend on the image's own correlations.
    Scanner(const Layout<T>& layout, const Dictionary<T>& dictionary, const Kernels<T>& kernels, const T* reference)
        : layout_(layout), problem_(layout.problem), dictionary_(dictionary), kernels_(kernels), reference_(reference),
          lanes_(dictionary.block_count * kernels.block) {}

    int64_t strips() const { return (layout_.code_rows + strip_rows - 1) / strip_rows; }

    ScanResult<T> scan(Team& team, const T* residual, T threshold, bool take_all) const {
        ScanResult<T> result;
        result.strips.resize(strips());
        std::vector<Best<T>> found(strips());
        team.run(strips(), [&](int64_t strip) {
            found[strip] = scan_strip(residual, strip * strip_rows,
                                      std::min((strip + 1) * strip_rows, layout_.code_rows), threshold, take_all,
                                      result.strips[strip]);
        });
        for (const auto& best : found) {
            result.ratio = std::max(result.ratio, best.ratio);
            result.violators += best.violators;
        }
        return result;
    }

    // λ at some entries, which may lie anywhere: for codes that a caller starts from.
    void penalties_of(std::vector<Candidate<T>>& wanted) const;

private:
    struct Scratch {
        std::vector<T> planar, correlation, reference, penalty, score;
        std::vector<int32_t> kernel;
    };

    // Channels apart, so that neighbouring positions are neighbours in memory.
    const T* planar(const T* plane, int64_t first, int64_t last, std::vector<T>& buffer, int64_t& channel_stride,
                    int64_t& row_stride) const {
        const int64_t channels = problem_.channels, rows = last - first + problem_.kernel_height - 1;
        if (channels == 1) {
            channel_stride = 0;
            row_stride = layout_.stride;
            return plane + first * layout_.stride;
        }
        row_stride = layout_.columns + kernels_.span;
        channel_stride = rows * row_stride;
        buffer.resize(channels * channel_stride);
        for (int64_t i = 0; i < rows; ++i) {
            const T* from = plane + (first + i) * layout_.stride;
            for (int64_t c = 0; c < channels; ++c) {
                T* to = buffer.data() + c * channel_stride + i * row_stride;
                for (int64_t x = 0; x < layout_.columns; ++x) to[x] = from[x * channels + c];
                std::fill(to + layout_.columns, to + row_stride, T(0));
            }
        }
        return buffer.data();
    }

    // The penalties of a strip as (pointer, kernel stride, row stride, column stride).
    struct Strip {
        const T* values;
        int64_t kernel, row, column;
    };

    Strip penalties(int64_t first, int64_t last, Scratch& scratch) const {
        using Kind = typename Penalty<T>::Kind;
        const auto& penalty = problem_.penalty;
        if (penalty.kind == Kind::per_kernel) return {penalty.values, 1, 0, 0};
        if (penalty.kind == Kind::per_position)
            return {penalty.values + first * penalty.strides[1], penalty.strides[0], penalty.strides[1], penalty.strides[2]};
        const int64_t rows = last - first, width = layout_.code_columns, kernels = problem_.kernels;
        correlate_strip(reference_, first, last, scratch.planar, scratch.reference);
        scratch.penalty.resize(kernels * rows * width);
        if (penalty.kind == Kind::inverse_correlation) {
            for (int64_t i = 0; i < kernels * rows * width; ++i) {
                const T size = std::fabs(scratch.reference[i]);
                const T powered = penalty.power == T(2) ? size * size : penalty.power == T(1) ? size : std::pow(size, penalty.power);
                scratch.penalty[i] = penalty.scale / std::max(powered, penalty.floor);
            }
        } else {
            penalty.function(scratch.reference.data(), scratch.penalty.data(), first, last);
        }
        return {scratch.penalty.data(), rows * width, width, 1};
    }

    // All correlations of a strip, (kernels, rows, columns).
    void correlate_strip(const T* plane, int64_t first, int64_t last, std::vector<T>& planes, std::vector<T>& out) const {
        const int64_t width = layout_.code_columns, rows = last - first;
        int64_t channel_stride, row_stride;
        const T* input = planar(plane, first, last, planes, channel_stride, row_stride);
        out.resize(problem_.kernels * rows * width);
        std::vector<T> part(lanes_ * chunk);
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t x = 0; x < width; x += chunk) {
                const int64_t n = std::min(chunk, width - x);
                kernels_.correlate(input + i * row_stride + x, channel_stride, row_stride, dictionary_.for_correlation(),
                                   part.data(), chunk, n);
                for (int64_t k = 0; k < problem_.kernels; ++k)
                    std::copy_n(part.data() + k * chunk, n, out.data() + (k * rows + i) * width + x);
            }
    }

    Best<T> scan_strip(const T* residual, int64_t first, int64_t last, T threshold, bool take_all,
                       std::vector<Candidate<T>>& chosen) const {
        static thread_local Scratch scratch;
        const int64_t width = layout_.code_columns, rows = last - first;
        const Strip penalty = penalties(first, last, scratch);
        int64_t channel_stride, row_stride;
        const T* input = planar(residual, first, last, scratch.planar, channel_stride, row_stride);
        scratch.correlation.resize(lanes_ * chunk);
        scratch.score.assign(rows * width, T(0));
        scratch.kernel.assign(rows * width, 0);
        Best<T> best{nullptr, nullptr, 0, 0};
        T dense[chunk];
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t x = 0; x < width; x += chunk) {
                const int64_t n = std::min(chunk, width - x);
                kernels_.correlate(input + i * row_stride + x, channel_stride, row_stride, dictionary_.for_correlation(),
                                   scratch.correlation.data(), chunk, n);
                best.score = scratch.score.data() + i * width + x;
                best.kernel = scratch.kernel.data() + i * width + x;
                const int64_t before = best.violators;
                for (int64_t k = 0; k < problem_.kernels; ++k) {
                    if (dictionary_.norms[k] == 0) continue;
                    const T* values = penalty.values + k * penalty.kernel + i * penalty.row + x * penalty.column;
                    if (penalty.column != 0 && penalty.column != 1) {
                        for (int64_t j = 0; j < n; ++j) dense[j] = values[j * penalty.column];
                        values = dense;
                    }
                    kernels_.compare({scratch.correlation.data() + k * chunk, values, penalty.column == 0,
                                      T(1) / std::sqrt(dictionary_.norms[k]), threshold, static_cast<int32_t>(k),
                                      problem_.nonnegative}, n, best);
                }
                if (take_all && best.violators > before) take_row(scratch, penalty, first, i, x, n, threshold, chosen);
            }
        if (!take_all && best.violators > 0) take_peaks(scratch, penalty, first, rows, chosen);
        return best;
    }

    void take_row(const Scratch& scratch, const Strip& penalty, int64_t first, int64_t i, int64_t x, int64_t n,
                  T threshold, std::vector<Candidate<T>>& chosen) const {
        for (int64_t k = 0; k < problem_.kernels; ++k) {
            if (dictionary_.norms[k] == 0) continue;
            const T* values = penalty.values + k * penalty.kernel + i * penalty.row + x * penalty.column;
            for (int64_t j = 0; j < n; ++j) {
                const T c = scratch.correlation[k * chunk + j];
                const T lambda = values[j * penalty.column];
                const T size = problem_.nonnegative ? c : std::fabs(c);
                if (size > threshold * lambda)
                    chosen.push_back({static_cast<int32_t>(first + i), static_cast<int32_t>(x + j),
                                      static_cast<int32_t>(k), lambda, size / lambda});
            }
        }
    }

    // Positions whose best kernel is not far behind the best of the eight positions around (of two, in a signal). True
    // peaks alone would need twice the scans before the working set is complete.
    void take_peaks(const Scratch& scratch, const Strip& penalty, int64_t first, int64_t rows,
                    std::vector<Candidate<T>>& chosen) const {
        const int64_t width = layout_.code_columns;
        for (int64_t i = 0; i < rows; ++i)
            for (int64_t x = 0; x < width; ++x) {
                const T score = scratch.score[i * width + x];
                if (score <= 0) continue;
                bool peak = true;
                for (int64_t a = std::max<int64_t>(0, i - 1); peak && a <= std::min(rows - 1, i + 1); ++a)
                    for (int64_t b = std::max<int64_t>(0, x - 1); b <= std::min(width - 1, x + 1); ++b) {
                        const T other = scratch.score[a * width + b];
                        if (other * nearly > score) peak = false;
                    }
                if (!peak) continue;
                const int32_t k = scratch.kernel[i * width + x];
                chosen.push_back({static_cast<int32_t>(first + i), static_cast<int32_t>(x), k,
                                  penalty.values[k * penalty.kernel + i * penalty.row + x * penalty.column]});
            }
    }

    const Layout<T>& layout_;
    const Problem<T>& problem_;
    const Dictionary<T>& dictionary_;
    const Kernels<T>& kernels_;
    const T* reference_;
    int64_t lanes_;
};

template <class T>
void Scanner<T>::penalties_of(std::vector<Candidate<T>>& wanted) const {
    Scratch scratch;
    Strip penalty{};
    int64_t known = -1, first = 0;
    for (auto& candidate : wanted) {
        if (candidate.row / strip_rows != known) {
            known = candidate.row / strip_rows;
            first = known * strip_rows;
            penalty = penalties(first, std::min(first + strip_rows, layout_.code_rows), scratch);
        }
        candidate.penalty = penalty.values[candidate.kernel * penalty.kernel + (candidate.row - first) * penalty.row +
                                           candidate.column * penalty.column];
    }
}

}  // namespace unconv
