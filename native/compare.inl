// The choice among kernels: for each position the one whose coefficient would move most, where a correlation exceeds its
// penalty.
#pragma once

#include <cmath>
#include <cstring>

#include "kernels.hpp"
#include "vectors.inl"

namespace unconv::UNCONV_TARGET {

template <class T, int N>
inline T largest(Vector<T, N> v) {
    T most = v[0];
    for (int i = 1; i < N; ++i) most = most < v[i] ? v[i] : most;
    return most;
}

// Most rows hold nothing above the threshold: the first pass only looks for the largest.
template <class T, bool Nonnegative, bool Constant>
void compare_as(const Row<T>& row, int64_t width, Best<T>& best) {
    constexpr int N = UNCONV_BYTES / sizeof(T);
    using V = Vector<T, N>;
    using Mask = decltype(V{} < V{});
    const T constant = row.penalty[0], inverse = T(1) / constant;
    const auto relative = [&](int64_t x) {
        const V c = load<T, N>(row.correlation + x);
        const V size = Nonnegative ? c : (c < 0 ? -c : c);
        if constexpr (Constant) return V(size * inverse);
        else return V(size / load<T, N>(row.penalty + x));
    };
    const int64_t whole = width / N * N;
    V most{};
    for (int64_t x = 0; x < whole; x += N) {
        const V r = relative(x);
        most = r > most ? r : most;
    }
    T ratio = largest<T, N>(most);
    for (int64_t x = whole; x < width; ++x) {
        const T size = Nonnegative ? row.correlation[x] : std::fabs(row.correlation[x]);
        const T r = Constant ? size * inverse : size / row.penalty[x];
        ratio = ratio < r ? r : ratio;
    }
    best.ratio = best.ratio < ratio ? ratio : best.ratio;
    if (ratio <= row.threshold) return;
    Mask count{};
    for (int64_t x = 0; x < whole; x += N) {
        const V r = relative(x);
        const Mask violates = r > row.threshold;
        count -= violates;
        V penalty;
        if constexpr (Constant) penalty = V{} + constant;
        else penalty = load<T, N>(row.penalty + x);
        const V gain = violates ? (r - T(1)) * penalty * row.inverse_norm : V{};
        const V before = load<T, N>(best.score + x);
        const Mask better = gain > before;
        store<T, N>(best.score + x, better ? gain : before);
        Vector<int32_t, N> names, mine = Vector<int32_t, N>{} + row.kernel;
        std::memcpy(&names, best.kernel + x, sizeof names);
        names = __builtin_convertvector(better, Vector<int32_t, N>) ? mine : names;
        std::memcpy(best.kernel + x, &names, sizeof names);
    }
    for (int i = 0; i < N; ++i) best.violators += count[i];
    for (int64_t x = whole; x < width; ++x) {
        const T size = Nonnegative ? row.correlation[x] : std::fabs(row.correlation[x]);
        const T penalty = Constant ? constant : row.penalty[x];
        if (!((Constant ? size * inverse : size / penalty) > row.threshold)) continue;
        ++best.violators;
        const T gain = (size - penalty) * row.inverse_norm;
        if (gain <= best.score[x]) continue;
        best.score[x] = gain;
        best.kernel[x] = row.kernel;
    }
}

template <class T>
void compare(const Row<T>& row, int64_t width, Best<T>& best) {
    if (row.constant)
        row.nonnegative ? compare_as<T, true, true>(row, width, best) : compare_as<T, false, true>(row, width, best);
    else
        row.nonnegative ? compare_as<T, true, false>(row, width, best) : compare_as<T, false, false>(row, width, best);
}

}  // namespace unconv::UNCONV_TARGET
