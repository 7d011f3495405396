// Conjugate gradients on the coefficients that are not zero.
//
// While no sign changes the problem is the linear system DᵀW²D z = DᵀW²s − λ sign z. Coordinate descent needs as many
// sweeps as it is badly conditioned, conjugate gradients, scaled by the diagonal, the root of that. A coefficient that
// would change its sign stops at zero and stays there, for the sweeps to look at; since the gradient is taken anew from
// the residual at each step, its neighbours make up for it in the next. Directions follow Polak & Ribière (1969), which
// forget the past where such stops have bent the way.
#pragma once

#include <algorithm>
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
          weight_(weight), supports_(tiling.tiles.size()), sums_(tiling.tiles.size()) {
        each([&](int64_t index) { supports_[index] = support(index); });
    }

    // Changes the entries' values and the residual.
    void run(std::vector<T>& residual) {
        std::vector<T> image(residual.size());
        Sums before{0, 0};
        double enough = 0;
        for (int step = 0; step < most_steps && !team_.cancelled(); ++step) {
            const Sums now = sum_of([&](int64_t index) { return see_gradient(index, residual); });
            if (step == 0) enough = now.first * reduction * reduction;
            if (!(now.first > enough)) return;
            const double turn = step == 0 ? 0 : std::max(now.first - now.second, 0.0) / before.first;
            const double slope = sum_of([&](int64_t index) { return aim(index, T(turn)); }).first;
            synthesize(image);
            const double curvature = square(image);
            if (!(curvature > 0) || !(slope > 0)) return;
            const T length = static_cast<T>(slope / curvature);
            const double stops = sum_of([&](int64_t index) { return move(index, length); }).first;
            subtract(residual, length, image);
            if (stops > 0) add_overshoot(residual);
            before = now;
        }
    }

    // The values as they were when this was made; the residual is the caller's business.
    void undo() {
        each([&](int64_t index) {
            const auto& s = supports_[index];
            for (size_t i = 0; i < s.at.size(); ++i) tiling_.tiles[index].entries[s.at[i]].value = s.origin[i];
        });
    }

private:
    static constexpr int most_steps = 40;
    static constexpr double reduction = 0.03;  // of the gradient's scaled norm

    struct Support {
        std::vector<int32_t> at;                  // in the tile's entries
        std::vector<Entry<T>> search;             // with the search direction as values
        std::vector<Entry<T>> overshoot;          // with what leads beyond zero as values
        std::vector<T> origin, gradient, earlier; // the values before, − ∂P/∂z at this step and at the last
    };

    struct Sums {
        double first, second;
    };

    Window<T> origin(int64_t index) const {
        return {tiling_.tiles[index].row, tiling_.tiles[index].column * layout_.problem.channels};
    }

    Support support(int64_t index) const {
        const auto& entries = tiling_.tiles[index].entries;
        Support s;
        for (size_t i = 0; i < entries.size(); ++i) {
            if (entries[i].value == 0) continue;
            s.at.push_back(static_cast<int32_t>(i));
            s.search.push_back(entries[i]);
            s.origin.push_back(entries[i].value);
        }
        s.gradient.assign(s.at.size(), T(0));
        s.earlier = s.gradient;
        return s;
    }

    // Σ g²/c and Σ g g'/c, g' the gradient of the last step.
    Sums see_gradient(int64_t index, std::vector<T>& residual) {
        auto& s = supports_[index];
        std::swap(s.gradient, s.earlier);
        kernels_.gather(layout_.field(residual.data(), nullptr), dictionary_.for_sweeps(), origin(index), s.search.data(),
                        s.search.data() + s.search.size(), s.gradient.data());
        Sums sums{0, 0};
        for (size_t i = 0; i < s.at.size(); ++i) {
            const T value = tiling_.tiles[index].entries[s.at[i]].value;
            s.gradient[i] = value == 0 ? T(0) : s.gradient[i] - std::copysign(s.search[i].penalty, value);
            const T scaled = s.gradient[i] / s.search[i].curvature;
            sums.first += double(scaled) * double(s.gradient[i]);
            sums.second += double(scaled) * double(s.earlier[i]);
        }
        return sums;
    }

    // The next direction, and its product with the gradient.
    Sums aim(int64_t index, T turn) {
        auto& s = supports_[index];
        double slope = 0;
        for (size_t i = 0; i < s.at.size(); ++i) {
            T& direction = s.search[i].value;
            const bool stopped = tiling_.tiles[index].entries[s.at[i]].value == 0;
            direction = stopped ? T(0) : s.gradient[i] / s.search[i].curvature + turn * direction;
            slope += double(s.gradient[i]) * double(direction);
        }
        return {slope, 0};
    }

    // How many stop at zero.
    Sums move(int64_t index, T length) {
        auto& s = supports_[index];
        s.overshoot.clear();
        for (size_t i = 0; i < s.at.size(); ++i) {
            T& value = tiling_.tiles[index].entries[s.at[i]].value;
            if (value == 0) continue;
            const T wanted = value + length * s.search[i].value;
            if (wanted * value > 0) {
                value = wanted;
                continue;
            }
            value = 0;
            s.overshoot.push_back(s.search[i]);
            s.overshoot.back().value = wanted;
        }
        return {double(s.overshoot.size()), 0};
    }

    // D (search directions), whatever the weight.
    void synthesize(std::vector<T>& image) {
        std::fill(image.begin(), image.end(), T(0));
        const auto field = layout_.field_without_copies(image.data(), nullptr);
        add([&](int64_t index) -> const auto& { return supports_[index].search; }, [&](int64_t) { return field; });
        layout_.join_copies(image.data(), [](T& a, T b) { a += b; });
    }

    // residual += W² D (what led beyond zero).
    void add_overshoot(std::vector<T>& residual) {
        const auto field = [&](int64_t index) {
            return layout_.field(residual.data(), free_[index] || weight_.empty() ? nullptr : weight_.data());
        };
        add([&](int64_t index) -> const auto& { return supports_[index].overshoot; }, field);
    }

    template <class What, class Where>
    void add(What&& what, Where&& field) {
        for (const auto& colour : tiling_.by_colour)
            team_.run(static_cast<int64_t>(colour.size()), [&](int64_t task) {
                const auto& entries = what(colour[task]);
                kernels_.add(field(colour[task]), dictionary_.for_sweeps(), origin(colour[task]), entries.data(),
                             entries.data() + entries.size(), T(1));
            });
    }

    // ‖W p‖², each pixel of a circular image once.
    double square(const std::vector<T>& image) {
        const int64_t channels = layout_.problem.channels, length = layout_.problem.width * channels;
        constexpr int64_t lanes = 16;
        std::vector<double> sums(layout_.problem.height);
        team_.run(static_cast<int64_t>(sums.size()), [&](int64_t y) {
            const int64_t begin = (layout_.top + y) * layout_.stride + layout_.left * channels;
            const T* p = image.data() + begin;
            const T* w = weight_.empty() ? nullptr : weight_.data() + begin;
            T lane[lanes] = {};
            for (int64_t x = 0; x + lanes <= length; x += lanes)
                for (int64_t i = 0; i < lanes; ++i) lane[i] += (w ? w[x + i] : T(1)) * p[x + i] * p[x + i];
            for (int64_t x = length / lanes * lanes; x < length; ++x) lane[0] += (w ? w[x] : T(1)) * p[x] * p[x];
            for (const T part : lane) sums[y] += double(part);
        });
        double sum = 0;
        for (const double part : sums) sum += part;
        return sum;
    }

    // residual −= length · W² image.
    void subtract(std::vector<T>& residual, T length, const std::vector<T>& image) {
        const int64_t strip = 1 << 14, size = layout_.elements();
        team_.run((size + strip - 1) / strip, [&](int64_t task) {
            const int64_t end = std::min((task + 1) * strip, size);
            if (weight_.empty())
                for (int64_t i = task * strip; i < end; ++i) residual[i] -= length * image[i];
            else
                for (int64_t i = task * strip; i < end; ++i) residual[i] -= length * weight_[i] * image[i];
        });
    }

    template <class Body>
    void each(Body&& body) {
        team_.run(static_cast<int64_t>(supports_.size()), body);
    }

    template <class Body>
    Sums sum_of(Body&& body) {
        each([&](int64_t index) { sums_[index] = body(index); });
        Sums sum{0, 0};
        for (const auto& part : sums_) sum.first += part.first, sum.second += part.second;
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
    std::vector<Sums> sums_;
};

}  // namespace unconv
