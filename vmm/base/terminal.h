// What a terminal can show, if a stream is one. NO_COLOR, TERM and COLUMNS count as everywhere.
#pragma once

#include <cstddef>

namespace gpremap {

enum class Colour { none, ansi };

// Whether `fd` is a terminal whose lines can be drawn again.
bool can_redraw(int fd);

// Colours are for terminals, but for dumb ones and where NO_COLOR is set and not empty.
Colour colour_for(int fd);

// The columns of what is written to `fd`: COLUMNS, else those of the terminal, else 110.
size_t columns_for(int fd);

}  // namespace gpremap
