// Vectors of N numbers, for the set of instructions that is compiled: loads, stores and sums.
#pragma once

#include <cstring>

namespace unconv::UNCONV_TARGET {

template <class T, int N>
using Vector __attribute__((vector_size(N * sizeof(T)))) = T;

template <class T, int N>
inline Vector<T, N> load(const T* from) {
    Vector<T, N> v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

template <class T, int N>
inline void store(T* to, Vector<T, N> v) {
    std::memcpy(to, &v, sizeof v);
}

template <class T, int N>
inline T sum(Vector<T, N> v) {
    if constexpr (N == 16) {
        return sum<T, 8>(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                         __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
    } else if constexpr (N == 8) {
        return sum<T, 4>(__builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7));
    } else if constexpr (N == 4) {
        return sum<T, 2>(__builtin_shufflevector(v, v, 0, 1) + __builtin_shufflevector(v, v, 2, 3));
    } else {
        return v[0] + v[1];
    }
}

}  // namespace unconv::UNCONV_TARGET
