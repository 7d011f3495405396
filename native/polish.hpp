// Conjugate gradients on the coefficients that are not zero, their signs kept.
//
// On a fixed support with fixed signs the problem is the linear system DᵀW²D z = DᵀW²s − λ sign z. Coordinate descent
// needs as many sweeps as it is badly conditioned, conjugate gradients (Hestenes & Stiefel 1952), scaled by the diagonal,
// the root of that. A coefficient that would change its sign stops at zero, and the way there is cut short until the
// objective falls; what belongs on the support and is not yet there is the business of the next scan.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "plane.hpp"
#include "threads.hpp"
#include "tiles.hpp"

namespace unconv {

template <class T>
class Polisher {
public:
    Polisher(Team& team, const Layout<T>& layout, const Dictionary<T>& dictionary, const Kernels<T>& kernels,
             Tiling<T>& tiling, const std::vector<char>& free, const std::vector<T>& weight)
        : team_(team), layout_(layout), dictionary_(dictionary), kernels_(kernels), tiling_(tiling), free_(free),
          weight_(weight), supports_(tiling.tiles.size()) {}

    // Changes the entries' values and the residual; `objective` is P of what these are at the moment.
    template <class Objective>
    void run(std::vector<T>& residual, Objective&& objective) {
        team_.run(tiles(), [&](int64_t index) { supports_[index] = support(index, residual); });
        solve();
        if (!team_.cancelled()) go(residual, objective);
    }

private:
    static constexpr int most_steps = 20;
    static constexpr double reduction = 0.03;  // of the gradient's scaled norm

    struct Support {
        std::vector<int32_t> at;       // in the tile's entries
        std::vector<Entry<T>> search;  // with the search direction as values
        std::vector<T> origin, gradient, image, change;

        T scaled(size_t i) const { return gradient[i] / search[i].curvature; }
    };

    int64_t tiles() const { return static_cast<int64_t>(supports_.size()); }

    Window<T> origin(int64_t index) const {
        return {tiling_.tiles[index].row, tiling_.tiles[index].column * layout_.problem.channels};
    }

    Support support(int64_t index, std::vector<T>& residual) const {
        const auto& entries = tiling_.tiles[index].entries;
        Support s;
        for (size_t i = 0; i < entries.size(); ++i) {
            if (entries[i].value == 0) continue;
            s.at.push_back(static_cast<int32_t>(i));
            s.search.push_back(entries[i]);
            s.origin.push_back(entries[i].value);
        }
        s.gradient.resize(s.at.size());
        s.image.resize(s.at.size());
        s.change.assign(s.at.size(), T(0));
        kernels_.gather(layout_.field(residual.data(), nullptr), dictionary_.for_sweeps(), origin(index), s.search.data(),
                        s.search.data() + s.search.size(), s.gradient.data());
        for (size_t i = 0; i < s.at.size(); ++i) {
            s.gradient[i] -= std::copysign(s.search[i].penalty, s.origin[i]);
            s.search[i].value = s.scaled(i);
        }
        return s;
    }

    void solve() {
        const auto steepness = [&] {
            return total([](const Support& s, size_t i) { return double(s.gradient[i]) * double(s.scaled(i)); });
        };
        double slope = steepness();
        const double enough = slope * reduction * reduction;
        std::vector<T> plane(layout_.elements() + kernels_.span);
        for (int step = 0; step < most_steps && slope > enough && !team_.cancelled(); ++step) {
            std::fill(plane.begin(), plane.end(), T(0));
            add_search(plane, T(1));
            team_.run(tiles(), [&](int64_t index) {
                auto& s = supports_[index];
                kernels_.gather(layout_.field(plane.data(), nullptr), dictionary_.for_sweeps(), origin(index),
                                s.search.data(), s.search.data() + s.search.size(), s.image.data());
            });
            const double curvature =
                total([](const Support& s, size_t i) { return double(s.search[i].value) * double(s.image[i]); });
            if (!(curvature > 0)) return;
            const T length = static_cast<T>(slope / curvature);
            each([&](Support& s, size_t i) {
                s.change[i] += length * s.search[i].value;
                s.gradient[i] -= length * s.image[i];
            });
            const double before = slope;
            slope = steepness();
            const T turn = static_cast<T>(slope / before);
            each([&](Support& s, size_t i) { s.search[i].value = s.scaled(i) + turn * s.search[i].value; });
        }
    }

    // The whole way, a half, a quarter, or back to where it began: the first at which the objective is no higher.
    template <class Objective>
    void go(std::vector<T>& residual, Objective&& objective) {
        const double before = objective();
        for (const T length : {T(1), T(0.5), T(0.25), T(0)}) {
            team_.run(tiles(), [&](int64_t index) {
                auto& s = supports_[index];
                for (size_t i = 0; i < s.at.size(); ++i) {
                    auto& entry = tiling_.tiles[index].entries[s.at[i]];
                    T wanted = s.origin[i] + length * s.change[i];
                    if (wanted * s.origin[i] < 0) wanted = 0;
                    s.search[i].value = wanted - entry.value;
                    entry.value = wanted;
                }
            });
            add_search(residual, T(-1));
            if (length == 0 || objective() <= before) return;
        }
    }

    // plane += factor · W² D (search directions).
    void add_search(std::vector<T>& plane, T factor) {
        for (const auto& colour : tiling_.by_colour)
            team_.run(static_cast<int64_t>(colour.size()), [&](int64_t task) {
                const int64_t index = colour[task];
                const T* weight = free_[index] || weight_.empty() ? nullptr : weight_.data();
                const auto& search = supports_[index].search;
                kernels_.add(layout_.field(plane.data(), weight), dictionary_.for_sweeps(), origin(index), search.data(),
                             search.data() + search.size(), factor);
            });
    }

    template <class Body>
    void each(Body&& body) {
        team_.run(tiles(), [&](int64_t index) {
            for (size_t i = 0; i < supports_[index].at.size(); ++i) body(supports_[index], i);
        });
    }

    template <class Term>
    double total(Term&& term) {
        std::vector<double> sums(supports_.size(), 0.0);
        team_.run(tiles(), [&](int64_t index) {
            for (size_t i = 0; i < supports_[index].at.size(); ++i) sums[index] += term(supports_[index], i);
        });
        double sum = 0;
        for (const double part : sums) sum += part;
        return sum;
    }

    Team& team_;
    const Layout<T>& layout_;
    const Dictionary<T>& dictionary_;
    const Kernels<T>& kernels_;
    Tiling<T>& tiling_;
    const std::vector<char>& free_;
    const std::vector<T>& weight_;
    std::vector<Support> supports_;
};

}  // namespace unconv
