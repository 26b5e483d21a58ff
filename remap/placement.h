// Where a result may go when the caller leaves it open, and what a place means for huge pages.
#pragma once

#include <optional>

#include "remap/request.h"
#include "remap/space.h"

namespace remap {

// A free place for `size` bytes of what lies at `source` (or, for new memory, of address 0): congruent to
// it modulo 1 GiB or 2 MiB where the size allows it and there is room, so that whole page tables and huge
// pages can be moved; failing that any. Always a multiple of `alignment`, a power of two.
std::optional<Gpa> free_place(const Space& space, Size size, Gpa source, Size alignment);

// Whether `size` bytes at `at` are free, inside the aperture and aligned to the granule and `alignment`.
bool is_free_place(const Space& space, Gpa at, Size size, Size alignment);

// Where new memory or a duplicate goes; none where there is no room. A fixed place is not checked for what is
// mapped there.
std::optional<Gpa> place(const Space& space, const Placement& placement, Size size, Gpa source);

// Whether moving `from` to `to` can keep huge pages huge.
bool keeps_huge_pages(const Range& from, Gpa to);

// Whether a change that ends or begins at `at` cuts through 2 MiB that could be one huge page.
bool splits_huge_page(const Space& space, Gpa at);

}  // namespace remap
