// How far the objective can be from its least: the relative duality gap at some residual.
//
// Of  P(z) = ½‖W(s − Dz)‖² + Σ λ_i |z_i|  the dual at a point θ is ⟨θ, Ws⟩ − ½‖θ‖², and θ is feasible where
// |⟨d_i, Wθ⟩| ≤ λ_i. Points are given as p = W² r in the layout of the residual, so that θ = α p / W.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "plane.hpp"
#include "scan.hpp"
#include "threads.hpp"

namespace unconv {

struct Energy {
    double square, product;  // ‖θ‖² and ⟨θ, W s⟩
};

template <class T>
class Certificate {
public:
    // `weight` is W² in the residual's layout, or empty.
    Certificate(Team& team, const Layout<T>& layout, const Dictionary<T>& dictionary, const std::vector<T>& weight)
        : team_(team), layout_(layout), problem_(layout.problem), dictionary_(dictionary), weight_(weight) {}

    Energy energy(const std::vector<T>& point) const {
        const int64_t strip = 32, tasks = (layout_.rows + strip - 1) / strip;
        std::vector<Energy> parts(tasks, Energy{0, 0});
        team_.run(tasks, [&](int64_t task) {
            Energy part{0, 0};
            layout_.each_pixel(task * strip, std::min((task + 1) * strip, layout_.rows),
                               [&](int64_t row, int64_t column, int64_t y, int64_t x) {
                // Of a circular image each pixel once.
                if (row >= layout_.top + problem_.height || column >= layout_.left + problem_.width) return;
                const int64_t at = row * layout_.stride + column * problem_.channels;
                for (int64_t c = 0; c < problem_.channels; ++c) {
                    const double w = weight_.empty() ? 1.0 : double(weight_[at + c]);
                    if (w == 0) continue;
                    const double q = point[at + c];
                    part.square += q * q / w;
                    part.product += q * double(problem_.pixel(c, y, x));
                }
            });
            parts[task] = part;
        });
        Energy sum{0, 0};
        for (const auto& part : parts) sum.square += part.square, sum.product += part.product;
        return sum;
    }

    // Of the feasible multiples α p of a point the best; `ratio` is max_i |⟨d_i, p⟩| / λ_i.
    static double gap(const Energy& point, T ratio, double primal) {
        double alpha = point.square > 0 ? std::max(point.product / point.square, 0.0) : 0.0;
        if (ratio > 0) alpha = std::min(alpha, 1.0 / double(ratio));
        const double dual = alpha * point.product - 0.5 * alpha * alpha * point.square;
        return primal > 0 ? std::max(primal - dual, 0.0) / primal : 0.0;
    }

    // A few positions that violate their bound need not make the whole residual smaller: shrink it where their windows
    // lie. What overlaps may still violate a little, so look again, and do the same with what is left. The least gap of
    // `known` and those found, `enough` ends the search.
    double by_region(const Scanner<T>& scanner, const std::vector<T>& residual, ScanResult<T> seen, double primal,
                     double known, double enough) const {
        std::vector<T> point = residual, shrink(residual.size());
        for (int round = 0; round < 3; ++round) {
            std::fill(shrink.begin(), shrink.end(), T(1));
            for (const auto& strip : seen.strips)
                for (const auto& violator : strip) shrink_window(violator, shrink);
            layout_.join_copies(shrink.data(), [](T& a, T b) { a = std::min(a, b); });
            for (size_t i = 0; i < point.size(); ++i) point[i] *= shrink[i];
            seen = scanner.scan(team_, point.data(), T(1), true);
            if (team_.cancelled()) break;
            known = std::min(known, gap(energy(point), seen.ratio, primal));
            if (known <= enough) break;
        }
        return known;
    }

private:
    void shrink_window(const Candidate<T>& violator, std::vector<T>& shrink) const {
        const T factor = T(1) / violator.ratio;
        for (int64_t i = 0; i < dictionary_.rows[violator.kernel]; ++i) {
            T* row = shrink.data() + (violator.row + i) * layout_.stride + violator.column * problem_.channels;
            for (int64_t j = 0; j < layout_.row_length; ++j) row[j] = std::min(row[j], factor);
        }
    }

    Team& team_;
    const Layout<T>& layout_;
    const Problem<T>& problem_;
    const Dictionary<T>& dictionary_;
    const std::vector<T>& weight_;
};

}  // namespace unconv
