// Scores of classes for the pixels of a picture: the loss, its gradient, and what each pixel is taken for.
#pragma once

#include <cstdint>

namespace unconv {

constexpr int64_t kNotCounted = 255;  // the target of pixels that nobody is asked about

// Where a number of a picture lies: class · class_stride + pixel · pixel_stride.
struct Layout {
    int64_t classes;
    int64_t pixels;
    int64_t class_stride;
    int64_t pixel_stride;
};

// One picture. Targets are below the number of classes, or not counted.
template <class T>
struct Picture {
    Layout layout;
    const T* scores;
    const int64_t* targets;
    const T* weights;  // one a class; nullptr: all 1
    T jaccard;         // weight of the soft intersection over union
    T* gradient;       // laid out as the scores; nullptr: not wanted
};

template <class T>
struct PixelKernels {
    int64_t block;  // pixels that are worked on together

    // Cross-entropy + jaccard · (1 − soft intersection over union); scratch: classes · pixels rounded up to the block,
    // and three numbers a class.
    T (*loss)(const Picture<T>&, T* scratch);
    // table[target · classes + the class of the largest score, the first of equals] += 1; scratch: classes · block.
    void (*confusion)(const Layout&, const T* scores, const int64_t* targets, T* scratch, float* table);
};

template <class T>
const PixelKernels<T>& pixel_kernels();  // as kernels()

}  // namespace unconv
