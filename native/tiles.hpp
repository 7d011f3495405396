// Tiles of code positions. Two tiles of one colour never touch the same pixel, so a colour's tiles run side by side, in
// any order, with the same result.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels.hpp"
#include "plane.hpp"

namespace unconv {

template <class T>
struct Tile {
    int64_t row, column;  // first position
    int64_t colour;
    bool dirty = true;
    T largest = 0;               // worst relative gradient seen by the last pass
    std::vector<Entry<T>> entries;  // in the order in which they are visited
    std::vector<Entry<T>> arrivals;
};

struct Cuts {
    std::vector<int64_t> starts;  // of the parts, and the end
    std::vector<int64_t> part_of; // position -> part
    std::vector<int64_t> colours;

    // At least `least` long each; neighbours, also round the corner where it wraps, differ in colour.
    Cuts(int64_t size, int64_t length, int64_t least, bool wraps) {
        const int64_t parts = std::max<int64_t>(1, size / std::max(length, least));
        for (int64_t i = 0; i <= parts; ++i) starts.push_back(i * size / parts);
        part_of.resize(size);
        for (int64_t i = 0; i < parts; ++i) {
            std::fill(part_of.begin() + starts[i], part_of.begin() + starts[i + 1], i);
            colours.push_back(wraps && parts % 2 && parts > 1 && i == parts - 1 ? 2 : i % 2);
        }
    }

    int64_t parts() const { return static_cast<int64_t>(colours.size()); }
};

template <class T>
struct Tiling {
    Cuts down, across;
    std::vector<Tile<T>> tiles;
    std::vector<std::vector<int64_t>> by_colour;
    bool wraps;

    Tiling(const Layout<T>& layout, int64_t length)
        : down(layout.code_rows, length, layout.problem.kernel_height, layout.problem.boundary == Boundary::circular),
          // Vectors reach past the end of a kernel's row: no less than the padded row lies between two of a colour.
          across(layout.code_columns, layout.code_rows == 1 ? 16 * length : length,
                 (layout.pitch + layout.problem.channels - 1) / layout.problem.channels,
                 layout.problem.boundary == Boundary::circular),
          by_colour(9), wraps(layout.problem.boundary == Boundary::circular) {
        for (int64_t i = 0; i < down.parts(); ++i)
            for (int64_t j = 0; j < across.parts(); ++j) {
                Tile<T> tile;
                tile.row = down.starts[i];
                tile.column = across.starts[j];
                tile.colour = down.colours[i] * 3 + across.colours[j];
                by_colour[tile.colour].push_back(static_cast<int64_t>(tiles.size()));
                tiles.push_back(std::move(tile));
            }
    }

    Tile<T>& at(int64_t row, int64_t column) {
        return tiles[down.part_of[row] * across.parts() + across.part_of[column]];
    }

    // A tile whose codes changed by more than a little makes its neighbours worth another look.
    void wake_neighbours(int64_t index) {
        const int64_t rows = down.parts(), columns = across.parts(), i = index / columns, j = index % columns;
        for (int64_t a = -1; a <= 1; ++a)
            for (int64_t b = -1; b <= 1; ++b) {
                int64_t y = i + a, x = j + b;
                if (wraps) {
                    y = (y + rows) % rows;
                    x = (x + columns) % columns;
                } else if (y < 0 || y >= rows || x < 0 || x >= columns) {
                    continue;
                }
                tiles[y * columns + x].dirty = true;
            }
    }
};

}  // namespace unconv
