// The statistics of sparse codes for Python: added to arrays that the caller holds.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>

#include "statistics.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace unconv {
namespace {

template <class T, int N>
using Input = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;
using Sum = nb::ndarray<double, nb::ndim<4>, nb::c_contig, nb::device::cpu>;

// Indices come from outside: one out of its range would be written somewhere else.
void check(const Input<int64_t, 2>& indices, const StatisticsShape& shape) {
    const int64_t count = int64_t(indices.shape(1));
    const int64_t sizes[3] = {shape.kernels, shape.code_height, shape.code_width};
    for (int axis = 0; axis < 3; ++axis)
        for (int64_t n = 0; n < count; ++n) {
            const int64_t index = indices.data()[axis * count + n];
            if (index < 0 || index >= sizes[axis]) throw std::invalid_argument("a code lies outside of its feature map");
            if (axis == 0 && n > 0 && index < indices.data()[n - 1])
                throw std::invalid_argument("codes are not sorted by kernel");
        }
}

template <class T>
void add(Input<int64_t, 2> indices, Input<T, 1> values, Input<T, 3> canvas, bool circular, double scale, int threads,
         Sum gram, Sum correlation) {
    StatisticsShape shape{};
    shape.kernels = correlation.shape(0);
    shape.channels = correlation.shape(1);
    shape.kernel_height = correlation.shape(2);
    shape.kernel_width = correlation.shape(3);
    shape.code_height = int64_t(canvas.shape(1)) - shape.kernel_height + 1;
    shape.code_width = int64_t(canvas.shape(2)) - shape.kernel_width + 1;
    shape.circular = circular;
    const bool fits = indices.shape(0) == 3 && indices.shape(1) == values.shape(0) &&
                      int64_t(canvas.shape(0)) == shape.channels && int64_t(gram.shape(0)) == shape.kernels &&
                      int64_t(gram.shape(1)) == shape.kernels && int64_t(gram.shape(2)) == shape.kernel_height &&
                      int64_t(gram.shape(3)) == 2 * shape.kernel_width - 1 && shape.code_height > 0 && shape.code_width > 0;
    const bool wraps = shape.code_height >= shape.kernel_height && shape.code_width >= shape.kernel_width;
    if (!fits || (circular && !wraps)) throw std::invalid_argument("codes, canvas and sums do not fit together");
    check(indices, shape);
    const int64_t count = int64_t(indices.shape(1));
    const SparseCodes<T> codes{count, indices.data(), indices.data() + count, indices.data() + 2 * count, values.data()};
    nb::gil_scoped_release released;
    add_statistics<T>(codes, canvas.data(), shape, scale, threads, gram.data(), correlation.data());
}

}  // namespace

void bind_statistics(nb::module_& module) {
    module.def("add_statistics", &add<float>, "indices"_a, "values"_a, "canvas"_a, "circular"_a, "scale"_a, "threads"_a,
               "gram"_a, "correlation"_a);
    module.def("add_statistics", &add<double>, "indices"_a, "values"_a, "canvas"_a, "circular"_a, "scale"_a, "threads"_a,
               "gram"_a, "correlation"_a);
}

}  // namespace unconv
