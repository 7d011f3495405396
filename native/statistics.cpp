#include "statistics.hpp"

#include <algorithm>
#include <vector>

#include "threads.hpp"

namespace unconv {
namespace {

struct Entry {
    int32_t column, kernel;
    double value;
};

// All codes by row, each row by column. Where the image wraps around, the first rows come again below the last, and
// each row is repeated as far as a kernel reaches.
struct Rows {
    std::vector<int64_t> starts;
    std::vector<Entry> entries;

    template <class T>
    Rows(const SparseCodes<T>& codes, const StatisticsShape& shape) {
        const int64_t below = shape.circular ? shape.kernel_height - 1 : 0;
        const int64_t beside = shape.circular ? shape.kernel_width - 1 : 0;
        starts.assign(shape.code_height + below + 1, 0);
        each(codes, shape, below, beside, [&](int64_t row, int64_t, int64_t) { ++starts[row + 1]; });
        for (size_t row = 1; row < starts.size(); ++row) starts[row] += starts[row - 1];
        entries.resize(starts.back());
        std::vector<int64_t> next(starts.begin(), starts.end() - 1);
        each(codes, shape, below, beside, [&](int64_t row, int64_t column, int64_t n) {
            entries[next[row]++] = {int32_t(column), int32_t(codes.kernels[n]), double(codes.values[n])};
        });
        for (size_t row = 0; row + 1 < starts.size(); ++row)
            std::sort(entries.begin() + starts[row], entries.begin() + starts[row + 1], [](const Entry& a, const Entry& b) {
                return a.column != b.column ? a.column < b.column : a.kernel < b.kernel;
            });
    }

    template <class T, class Body>
    static void each(const SparseCodes<T>& codes, const StatisticsShape& shape, int64_t below, int64_t beside, Body&& body) {
        for (int64_t n = 0; n < codes.count; ++n) {
            const int64_t row = codes.rows[n], column = codes.columns[n];
            for (int64_t y = row; y < shape.code_height + below; y += shape.code_height) {
                body(y, column, n);
                if (column < beside) body(y, column + shape.code_width, n);
                if (column >= shape.code_width - beside) body(y, column - shape.code_width, n);
            }
        }
    }
};

void add_pairs(const Rows& rows, int64_t row, int64_t column, double value, const StatisticsShape& shape, double* gram) {
    const int64_t reach = shape.kernel_width - 1, lags = 2 * reach + 1, per_kernel = shape.kernel_height * lags;
    const int64_t last = std::min<int64_t>(row + shape.kernel_height, int64_t(rows.starts.size()) - 1);
    for (int64_t y = row; y < last; ++y) {
        const Entry* end = rows.entries.data() + rows.starts[y + 1];
        const Entry* entry = std::lower_bound(rows.entries.data() + rows.starts[y], end, column - reach,
                                              [](const Entry& e, int64_t from) { return e.column < from; });
        const int64_t lag = (y - row) * lags + reach - column;
        for (; entry != end && entry->column <= column + reach; ++entry)
            gram[entry->kernel * per_kernel + lag + entry->column] += value * entry->value;
    }
}

template <class T>
void add_patch(const T* canvas, int64_t row, int64_t column, double value, const StatisticsShape& shape, double* sum) {
    const int64_t height = shape.code_height + shape.kernel_height - 1, width = shape.code_width + shape.kernel_width - 1;
    for (int64_t c = 0; c < shape.channels; ++c)
        for (int64_t i = 0; i < shape.kernel_height; ++i) {
            const T* from = canvas + (c * height + row + i) * width + column;
            double* to = sum + (c * shape.kernel_height + i) * shape.kernel_width;
            for (int64_t j = 0; j < shape.kernel_width; ++j) to[j] += value * double(from[j]);
        }
}

}  // namespace

template <class T>
void add_statistics(const SparseCodes<T>& codes, const T* canvas, const StatisticsShape& shape, double scale, int threads,
                    double* gram, double* correlation) {
    const Rows rows(codes, shape);
    const int64_t lags = shape.kernels * shape.kernel_height * (2 * shape.kernel_width - 1);
    const int64_t taps = shape.channels * shape.kernel_height * shape.kernel_width;
    Team team(threads, {});
    team.run(shape.kernels, [&](int64_t kernel) {
        const int64_t* first = std::lower_bound(codes.kernels, codes.kernels + codes.count, kernel);
        const int64_t* last = std::upper_bound(first, codes.kernels + codes.count, kernel);
        for (int64_t n = first - codes.kernels; n < last - codes.kernels; ++n) {
            const double value = scale * double(codes.values[n]);
            add_pairs(rows, codes.rows[n], codes.columns[n], value, shape, gram + kernel * lags);
            add_patch(canvas, codes.rows[n], codes.columns[n], value, shape, correlation + kernel * taps);
        }
    });
}

template void add_statistics<float>(const SparseCodes<float>&, const float*, const StatisticsShape&, double, int, double*,
                                    double*);
template void add_statistics<double>(const SparseCodes<double>&, const double*, const StatisticsShape&, double, int, double*,
                                     double*);

}  // namespace unconv
