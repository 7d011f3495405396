// Losses and confusions of a batch of pictures for Python, a picture a task.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "pixels.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace unconv {
namespace {

// (picture, class, pixel)
template <class T>
using Scores = nb::ndarray<T, nb::ndim<3>, nb::device::cpu>;
template <class T, int N>
using Array = nb::ndarray<T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

template <class T>
Layout layout_of(const Scores<T>& scores) {
    return {int64_t(scores.shape(1)), int64_t(scores.shape(2)), scores.stride(1), scores.stride(2)};
}

// A target of no class would be read somewhere else.
void check(const Array<const int64_t, 2>& targets, const Layout& layout, size_t count) {
    if (targets.shape(0) != count || int64_t(targets.shape(1)) != layout.pixels || layout.classes < 1)
        throw std::invalid_argument("scores and targets do not fit together");
    const int64_t* first = targets.data();
    for (size_t i = 0; i < count * size_t(layout.pixels); ++i)
        if (first[i] != kNotCounted && (first[i] < 0 || first[i] >= layout.classes))
            throw std::invalid_argument("target " + std::to_string(first[i]) + " is none of " +
                                        std::to_string(layout.classes) + " classes");
}

// body(picture, scratch) for every picture.
template <class T, class Body>
void for_pictures(int64_t count, int64_t numbers, int threads, Body&& body) {
    Team team(int(std::clamp<int64_t>(count, 1, std::max(threads, 1))), {});
    team.run(count, [&](int64_t n) {
        // The calling thread keeps its own from batch to batch: fresh memory costs as much as the loss.
        static thread_local std::vector<T> scratch;
        if (int64_t(scratch.size()) < numbers) scratch.resize(size_t(numbers));
        body(n, scratch.data());
    });
}

template <class T>
void pixel_loss(Scores<const T> scores, Array<const int64_t, 2> targets, std::optional<Array<const T, 1>> weights,
                double jaccard, int threads, Array<T, 1> losses, std::optional<Scores<T>> gradient) {
    const Layout layout = layout_of(scores);
    const size_t count = scores.shape(0);
    check(targets, layout, count);
    bool fits = losses.shape(0) == count && (!weights || int64_t(weights->shape(0)) == layout.classes);
    if (gradient)
        for (size_t axis = 0; axis < 3; ++axis)
            fits = fits && gradient->shape(axis) == scores.shape(axis) && gradient->stride(axis) == scores.stride(axis);
    if (!fits) throw std::invalid_argument("scores, weights, losses and gradient do not fit together");
    const PixelKernels<T>& kernels = pixel_kernels<T>();
    const int64_t blocks = (layout.pixels + kernels.block - 1) / kernels.block;
    nb::gil_scoped_release released;
    for_pictures<T>(int64_t(count), (blocks * kernels.block + 3) * layout.classes, threads, [&](int64_t n, T* scratch) {
        const Picture<T> picture{layout,
                                 scores.data() + n * scores.stride(0),
                                 targets.data() + n * layout.pixels,
                                 weights ? weights->data() : nullptr,
                                 T(jaccard),
                                 gradient ? gradient->data() + n * gradient->stride(0) : nullptr};
        losses.data()[n] = kernels.loss(picture, scratch);
    });
}

template <class T>
void confusion(Scores<const T> scores, Array<const int64_t, 2> targets, int threads, Array<float, 3> tables) {
    const Layout layout = layout_of(scores);
    const size_t count = scores.shape(0);
    check(targets, layout, count);
    if (tables.shape(0) != count || int64_t(tables.shape(1)) != layout.classes || tables.shape(1) != tables.shape(2))
        throw std::invalid_argument("scores and tables do not fit together");
    const PixelKernels<T>& kernels = pixel_kernels<T>();
    nb::gil_scoped_release released;
    for_pictures<T>(int64_t(count), kernels.block * layout.classes, threads, [&](int64_t n, T* scratch) {
        kernels.confusion(layout, scores.data() + n * scores.stride(0), targets.data() + n * layout.pixels, scratch,
                          tables.data() + n * layout.classes * layout.classes);
    });
}

// What is written to, and what tells the overloads apart, is never converted: a copy would be written instead.
template <class T>
void bind(nb::module_& module) {
    module.def("pixel_loss", &pixel_loss<T>, "scores"_a.noconvert(), "targets"_a, "weights"_a.none(), "jaccard"_a,
               "threads"_a, "losses"_a.noconvert(), "gradient"_a.noconvert().none());
    module.def("confusion", &confusion<T>, "scores"_a.noconvert(), "targets"_a, "threads"_a, "tables"_a.noconvert());
}

}  // namespace

void bind_pixels(nb::module_& module) {
    bind<float>(module);
    bind<double>(module);
}

}  // namespace unconv
