// What Python sees: arrays in, arrays out; the interpreter is free while the solver works.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

#include "kernels.hpp"
#include "solver.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace unconv {
namespace {

template <class T, int N>
using Input = nb::ndarray<const T, nb::ndim<N>, nb::c_contig, nb::device::cpu>;

template <class T>
nb::ndarray<nb::numpy, T, nb::ndim<1>> to_numpy(std::vector<T>&& values) {
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

template <class T>
Penalty<T> make_penalty(const std::string& kind, const std::optional<nb::ndarray<const T, nb::device::cpu>>& values,
                        const std::tuple<double, double, double>& inverse, nb::object function, int64_t kernels,
                        int64_t width) {
    using Kind = typename Penalty<T>::Kind;
    Penalty<T> penalty;
    if (kind == "per_kernel" || kind == "per_position") {
        penalty.kind = kind == "per_kernel" ? Kind::per_kernel : Kind::per_position;
        penalty.values = values.value().data();
        if (penalty.kind == Kind::per_position)
            for (int i = 0; i < 3; ++i) penalty.strides[i] = values->stride(i);
    } else if (kind == "inverse_correlation") {
        penalty.kind = Kind::inverse_correlation;
        penalty.scale = static_cast<T>(std::get<0>(inverse));
        penalty.power = static_cast<T>(std::get<1>(inverse));
        penalty.floor = static_cast<T>(std::get<2>(inverse));
    } else if (kind == "from_correlation") {
        penalty.kind = Kind::from_correlation;
        PyObject* callable = function.ptr();  // kept alive by the caller of solve
        penalty.function = [callable, kernels, width](const T* correlation, T* out, int64_t first, int64_t last) {
            nb::gil_scoped_acquire gil;
            const size_t shape[3] = {size_t(kernels), size_t(last - first), size_t(width)};
            nb::ndarray<nb::numpy, const T, nb::ndim<3>> seen(correlation, 3, shape, nb::none());
            nb::ndarray<nb::numpy, T, nb::ndim<3>> wanted(out, 3, shape, nb::none());
            nb::borrow<nb::callable>(callable)(seen, wanted, first, last);
        };
    } else {
        throw std::invalid_argument("unknown kind of penalty: " + kind);
    }
    return penalty;
}

// True once a signal (Ctrl-C) is pending in the main thread, or the caller has set the flag.
Interrupted interrupted(const std::optional<nb::ndarray<const uint8_t, nb::ndim<1>, nb::device::cpu>>& cancel) {
    const volatile uint8_t* flag = cancel ? cancel->data() : nullptr;
    return [flag] {
        if (flag && *flag) return true;
        nb::gil_scoped_acquire gil;
        if (PyErr_CheckSignals() == 0) return false;
        return true;
    };
}

template <class T>
nb::dict solve_one(Input<T, 3> image, Input<T, 4> dictionary, std::optional<Input<T, 3>> weight, int boundary,
                   bool nonnegative, const std::string& penalty_kind,
                   std::optional<nb::ndarray<const T, nb::device::cpu>> penalty_values,
                   std::tuple<double, double, double> inverse, nb::object function,
                   std::optional<Input<int64_t, 2>> start_indices, std::optional<Input<T, 1>> start_values, double tol,
                   int64_t max_steps, int threads,
                   std::optional<nb::ndarray<const uint8_t, nb::ndim<1>, nb::device::cpu>> cancel) {
    Problem<T> problem;
    problem.image = image.data();
    problem.dictionary = dictionary.data();
    problem.weight = weight ? weight->data() : nullptr;
    problem.channels = image.shape(0);
    problem.height = image.shape(1);
    problem.width = image.shape(2);
    problem.kernels = dictionary.shape(0);
    problem.kernel_height = dictionary.shape(2);
    problem.kernel_width = dictionary.shape(3);
    problem.weight_channels = weight ? weight->shape(0) : 0;
    problem.boundary = static_cast<Boundary>(boundary);
    problem.nonnegative = nonnegative;
    problem.penalty = make_penalty<T>(penalty_kind, penalty_values, inverse, function, problem.kernels, problem.code_width());
    if (start_indices) {
        const int64_t count = start_indices->shape(1);
        problem.start = {count, start_indices->data(), start_indices->data() + count, start_indices->data() + 2 * count,
                         start_values.value().data()};
    }
    Settings settings{tol, max_steps, threads, interrupted(cancel)};
    Solution<T> solution;
    {
        nb::gil_scoped_release released;
        solution = solve<T>(problem, settings);
    }
    if (PyErr_Occurred()) throw nb::python_error();
    nb::dict answer;
    answer["kernels"] = to_numpy(std::move(solution.codes.kernels));
    answer["rows"] = to_numpy(std::move(solution.codes.rows));
    answer["columns"] = to_numpy(std::move(solution.codes.columns));
    answer["values"] = to_numpy(std::move(solution.codes.values));
    answer["objective"] = solution.objective;
    answer["gap"] = solution.gap;
    answer["ratio"] = solution.ratio;
    answer["steps"] = solution.steps;
    answer["converged"] = solution.converged;
    answer["cancelled"] = solution.cancelled;
    std::vector<double> trace;
    for (const auto& moment : solution.trace) trace.insert(trace.end(), {moment.seconds, moment.objective, moment.gap});
    answer["trace"] = to_numpy(std::move(trace));
    return answer;
}

template <class T>
void bind_solve(nb::module_& module) {
    module.def("solve", &solve_one<T>, "image"_a, "dictionary"_a, "weight"_a.none(), "boundary"_a, "nonnegative"_a,
               "penalty_kind"_a, "penalty_values"_a.none(), "inverse"_a, "function"_a.none(), "start_indices"_a.none(),
               "start_values"_a.none(), "tol"_a, "max_steps"_a, "threads"_a, "cancel"_a.none());
}

}  // namespace

void bind_statistics(nb::module_& module);
void bind_pixels(nb::module_& module);

}  // namespace unconv

NB_MODULE(_native, module) {
    module.def("instructions", [] { return std::string(unconv::kernels<float>().name); });
    unconv::bind_solve<float>(module);
    unconv::bind_solve<double>(module);
    unconv::bind_statistics(module);
    unconv::bind_pixels(module);
}
