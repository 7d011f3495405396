#include "solver.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "certificate.hpp"
#include "plane.hpp"
#include "polish.hpp"
#include "scan.hpp"
#include "tiles.hpp"

namespace unconv {
namespace {

template <class T>
class Solver {
public:
    Solver(const Problem<T>& problem, const Settings& settings)
        : problem_(problem), settings_(settings), kernels_(kernels<T>()), layout_(problem, kernels_),
          dictionary_(problem, layout_, kernels_), team_(settings.threads, settings.interrupted),
          tiling_(layout_, tile_length), residual_(layout_.elements() + kernels_.span, T(0)),
          certificate_(team_, layout_, dictionary_, weight_) {
        if (problem.weight || problem.boundary == Boundary::crop) lay_out_weight();
        using Kind = typename Penalty<T>::Kind;
        if (problem.penalty.kind == Kind::inverse_correlation || problem.penalty.kind == Kind::from_correlation) {
            add_image();
            reference_ = residual_;
        }
        for (auto& tile : tiling_.tiles) is_free_.push_back(lies_free(tile));
    }

    Solution<T> run() {
        const Scanner<T> scanner(layout_, dictionary_, kernels_, reference_.empty() ? nullptr : reference_.data());
        start(scanner);
        Solution<T> solution;
        int64_t active = 0;
        bool take_all = false;
        for (;;) {
            find_residual();
            const auto seen = scanner.scan(team_, residual_.data(), T(1 + 0.3 * settings_.tol), take_all);
            if (team_.cancelled()) break;
            certify(seen.ratio, solution);
            solution.ratio = static_cast<double>(seen.ratio);
            if (take_all && solution.gap > settings_.tol && solution.gap < 20 * settings_.tol)
                solution.trace.back().gap = solution.gap = certificate_.by_region(
                    scanner, residual_, seen, solution.objective, solution.gap, settings_.tol);
            solution.converged = solution.gap <= settings_.tol;
            if (solution.converged || solution.steps >= settings_.max_steps) break;
            ++solution.steps;
            active = admit(seen);
            take_all = seen.violators < active / 4 + 64;
            descend(seen.ratio, passes);
            if (seen.ratio < worth_polishing && !team_.cancelled()) {
                polish();
                // Coefficients that polishing stopped at zero leave their neighbours off balance.
                for (auto& tile : tiling_.tiles) tile.dirty = true;
                descend(seen.ratio, passes_after_polish);
            }
            if (team_.cancelled()) break;
        }
        solution.cancelled = team_.cancelled();
        if (!solution.cancelled) collect(solution.codes);
        return solution;
    }

private:
    static constexpr int64_t tile_length = 32;
    static constexpr int passes = 8, passes_after_polish = 8, inner_sweeps = 3;
    static constexpr T worth_polishing = 2;  // max |⟨d_i, r⟩| / λ_i: from here on the support changes slowly

    Window<T> origin(const Tile<T>& tile) const { return {tile.row, tile.column * problem_.channels}; }

    Field<T> field(bool free) {
        return layout_.field(residual_.data(), free || weight_.empty() ? nullptr : weight_.data());
    }

    // Whether no window of the tile meets a weight other than 1.
    bool lies_free(const Tile<T>& tile) const {
        if (weight_.empty()) return true;
        const int64_t index = &tile - tiling_.tiles.data();
        const int64_t i = index / tiling_.across.parts(), j = index % tiling_.across.parts();
        const int64_t last_row = tiling_.down.starts[i + 1] + problem_.kernel_height - 1;
        const int64_t last_column = tiling_.across.starts[j + 1] + problem_.kernel_width - 1;
        for (int64_t row = tile.row; row < last_row; ++row)
            for (int64_t x = tile.column * problem_.channels; x < last_column * problem_.channels; ++x)
                if (weight_[row * layout_.stride + x] != 1) return false;
        return true;
    }

    T weight_at(int64_t channel, int64_t y, int64_t x) const {
        if (!problem_.weight) return 1;
        const int64_t c = problem_.weight_channels == 1 ? 0 : channel;
        const T w = problem_.weight[(c * problem_.height + y) * problem_.width + x];
        return w * w;
    }

    void lay_out_weight() {
        weight_.assign(residual_.size(), T(0));
        layout_.each_pixel(0, layout_.rows, [&](int64_t row, int64_t column, int64_t y, int64_t x) {
            for (int64_t c = 0; c < problem_.channels; ++c)
                weight_[row * layout_.stride + column * problem_.channels + c] = weight_at(c, y, x);
        });
    }

    void find_residual() {
        std::fill(residual_.begin(), residual_.end(), T(0));
        for (const auto& colour : tiling_.by_colour)
            team_.run(static_cast<int64_t>(colour.size()), [&](int64_t task) {
                auto& tile = tiling_.tiles[colour[task]];
                const T* weight = is_free_[colour[task]] || weight_.empty() ? nullptr : weight_.data();
                kernels_.add(layout_.field_without_copies(residual_.data(), weight), dictionary_.for_sweeps(), origin(tile),
                             tile.entries.data(), tile.entries.data() + tile.entries.size(), T(-1));
            });
        layout_.join_copies(residual_.data(), [](T& a, T b) { a += b; });
        add_image();
    }

    void add_image() {
        const int64_t strip = 32;
        team_.run((layout_.rows + strip - 1) / strip, [&](int64_t task) {
            layout_.each_pixel(task * strip, std::min((task + 1) * strip, layout_.rows),
                               [&](int64_t row, int64_t column, int64_t y, int64_t x) {
                const int64_t at = row * layout_.stride + column * problem_.channels;
                for (int64_t c = 0; c < problem_.channels; ++c)
                    residual_[at + c] += weight_.empty() ? problem_.pixel(c, y, x) : weight_[at + c] * problem_.pixel(c, y, x);
            });
        });
    }

    Entry<T> entry(const Tile<T>& tile, int64_t row, int64_t column, int64_t kernel, T penalty, T value) const {
        const int64_t offset = (row - tile.row) * layout_.stride + (column - tile.column) * problem_.channels;
        T curvature = dictionary_.norms[kernel];
        if (!is_free_[&tile - tiling_.tiles.data()]) {
            double sum = 0;
            const T* taps = dictionary_.taps.data() + kernel * dictionary_.height * dictionary_.pitch;
            const T* weight = weight_.data() + row * layout_.stride + column * problem_.channels;
            for (int64_t i = 0; i < dictionary_.rows[kernel]; ++i)
                for (int64_t j = 0; j < dictionary_.row_length; ++j) {
                    const double tap = taps[i * dictionary_.pitch + j];
                    sum += tap * tap * double(weight[i * layout_.stride + j]);
                }
            curvature = static_cast<T>(sum);
        }
        return {static_cast<int32_t>(offset), static_cast<int32_t>(kernel), value, penalty, curvature};
    }

    void start(const Scanner<T>& scanner) {
        const auto& given = problem_.start;
        std::vector<Candidate<T>> wanted(given.count);
        for (int64_t i = 0; i < given.count; ++i)
            wanted[i] = {static_cast<int32_t>(given.rows[i]), static_cast<int32_t>(given.columns[i]),
                         static_cast<int32_t>(given.kernels[i]), T(0)};
        scanner.penalties_of(wanted);
        for (int64_t i = 0; i < given.count; ++i) {
            auto& tile = tiling_.at(wanted[i].row, wanted[i].column);
            T value = problem_.nonnegative ? std::max(given.values[i], T(0)) : given.values[i];
            const auto made = entry(tile, wanted[i].row, wanted[i].column, wanted[i].kernel, wanted[i].penalty, value);
            if (made.curvature > 0 && std::isfinite(made.penalty)) tile.arrivals.push_back(made);
        }
        merge();
    }

    // The scan's candidates into their tiles, and coefficients that came to rest at zero out of them.
    int64_t admit(const ScanResult<T>& seen) {
        for (const auto& strip : seen.strips)
            for (const auto& found : strip) {
                auto& tile = tiling_.at(found.row, found.column);
                const auto made = entry(tile, found.row, found.column, found.kernel, found.penalty, T(0));
                if (made.curvature > 0) tile.arrivals.push_back(made);
            }
        return merge();
    }

    // Neighbours in this order lie sixteen positions apart: what one has just written, the next does not read at once.
    int64_t rank(int64_t offset) const {
        const int64_t apart = 16, y = offset / layout_.stride, x = offset % layout_.stride / problem_.channels;
        return ((y % apart * apart + x % apart) << 32) + (y / apart << 16) + x / apart;
    }

    int64_t merge() {
        const auto before = [this](const Entry<T>& a, const Entry<T>& b) {
            const int64_t first = rank(a.offset), second = rank(b.offset);
            return first != second ? first < second : a.kernel < b.kernel;
        };
        team_.run(static_cast<int64_t>(tiling_.tiles.size()), [&](int64_t index) {
            auto& tile = tiling_.tiles[index];
            tile.dirty = true;
            std::sort(tile.arrivals.begin(), tile.arrivals.end(), before);
            std::vector<Entry<T>> merged;
            merged.reserve(tile.entries.size() + tile.arrivals.size());
            auto old = tile.entries.begin();
            for (const auto& arrival : tile.arrivals) {
                for (; old != tile.entries.end() && before(*old, arrival); ++old)
                    if (old->value != 0) merged.push_back(*old);
                if (old == tile.entries.end() || before(arrival, *old)) merged.push_back(arrival);
            }
            for (; old != tile.entries.end(); ++old)
                if (old->value != 0) merged.push_back(*old);
            tile.entries = std::move(merged);
            tile.arrivals = {};
        });
        int64_t total = 0;
        for (const auto& tile : tiling_.tiles) total += static_cast<int64_t>(tile.entries.size());
        return total;
    }

    void descend(T ratio, int most) {
        const double eps = std::clamp(0.1 * (double(ratio) - 1), 0.25 * settings_.tol, 0.3);
        for (int pass = 0; pass < most; ++pass) {
            bool any = false;
            for (const auto& colour : tiling_.by_colour) {
                std::vector<int64_t> todo;
                for (const int64_t index : colour)
                    if (tiling_.tiles[index].dirty) todo.push_back(index);
                team_.run(static_cast<int64_t>(todo.size()), [&](int64_t task) { visit(todo[task], T(eps)); });
                if (team_.cancelled()) return;
                for (const int64_t index : todo) {
                    auto& tile = tiling_.tiles[index];
                    tile.dirty = false;
                    if (tile.largest <= eps) continue;
                    tiling_.wake_neighbours(index);
                    any = true;
                }
            }
            if (!any) return;
        }
    }

    // All coefficients once, then those that are not zero until they rest.
    void visit(int64_t index, T eps) {
        auto& tile = tiling_.tiles[index];
        const auto sweep = [&](bool only_active) {
            return kernels_.sweep(field(is_free_[index]), dictionary_.for_sweeps(), origin(tile), tile.entries.data(),
                                  tile.entries.data() + tile.entries.size(), only_active, problem_.nonnegative);
        };
        tile.largest = sweep(false).largest;
        if (tile.largest <= eps) return;
        for (int i = 0; i < inner_sweeps; ++i)
            if (sweep(true).largest <= eps / 2) break;
    }

    void polish() {
        const double before = objective();
        Polisher<T> polisher(team_, layout_, dictionary_, kernels_, tiling_, is_free_, weight_);
        polisher.run(residual_);
        if (team_.cancelled() || objective() <= before) return;
        polisher.undo();
        find_residual();
    }

    double penalty() const {
        double sum = 0;
        for (const auto& tile : tiling_.tiles)
            for (const auto& entry : tile.entries)
                if (entry.value != 0) sum += double(entry.penalty) * std::fabs(double(entry.value));
        return sum;
    }

    double objective() { return 0.5 * certificate_.energy(residual_).square + penalty(); }

    // P(z), and the dual at θ = α W r, feasible where α |⟨d_i, W² r⟩| ≤ λ_i.
    void certify(T ratio, Solution<T>& solution) {
        const auto found = certificate_.energy(residual_);
        solution.objective = 0.5 * found.square + penalty();
        solution.gap = certificate_.gap(found, ratio, solution.objective);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began_;
        solution.trace.push_back({seconds.count(), solution.objective, solution.gap});
    }

    void collect(Codes<T>& codes) const {
        for (const auto& tile : tiling_.tiles)
            for (const auto& entry : tile.entries) {
                if (entry.value == 0) continue;
                codes.kernels.push_back(entry.kernel);
                codes.rows.push_back(static_cast<int32_t>(tile.row + entry.offset / layout_.stride));
                codes.columns.push_back(static_cast<int32_t>(tile.column + entry.offset % layout_.stride / problem_.channels));
                codes.values.push_back(entry.value);
            }
    }

    const Problem<T>& problem_;
    const Settings& settings_;
    const Kernels<T>& kernels_;
    const Layout<T> layout_;
    const Dictionary<T> dictionary_;
    Team team_;
    Tiling<T> tiling_;
    std::vector<T> residual_, weight_, reference_;
    const Certificate<T> certificate_;
    std::vector<char> is_free_;
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace

template <class T>
Solution<T> solve(const Problem<T>& problem, const Settings& settings) {
    return Solver<T>(problem, settings).run();
}

template Solution<float> solve(const Problem<float>&, const Settings&);
template Solution<double> solve(const Problem<double>&, const Settings&);

}  // namespace unconv
