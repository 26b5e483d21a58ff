// What is asked of the planner, whoever asks: each personality decodes its raw arguments into one of
// these. The arguments are well-formed by then: aligned, not empty, inside the aperture.
#pragma once

#include <optional>
#include <variant>

#include "remap/extent.h"

namespace remap {

// Where the result goes. `at` is used with fixed and hint.
struct Placement {
    enum class Where {
        in_place,          // the source's own address
        in_place_if_fits,  // or anywhere free
        fixed,             // at `at`
        hint,              // at `at` if that is free, else anywhere free
        anywhere,
    };
    Where where = Where::in_place;
    Gpa at{};
    Size alignment{1};  // of the result; a power of two
};

// What happens to what is mapped where the result goes. What moves away itself does not count as mapped,
// except with refuse_own_source_too.
enum class Occupied { refuse, refuse_own_source_too, replace };

// Which holes the source may have.
enum class Holes {
    none,          // every page is mapped
    behind_first,  // the first page is mapped; later holes are kept as holes at the destination
    anywhere,      // at least one page is mapped; holes are kept
};

// What stands at the source's addresses after a remap.
enum class SourceAfter {
    unmapped,  // it has moved
    same,      // it is duplicated: both ranges are the same pages
    zero,      // it has moved and reads zero there (Linux DONTUNMAP); what is shared keeps its pages
};

// Whether what is moved or grown may span several mappings.
enum class Crossing { allowed, refused };

enum class Contents { keep, zero };

// What becomes of a lock in a duplicate. Linux keeps it: the duplicate is locked, what is new in it too, and
// counts.
enum class DuplicateLock { dropped, kept };

// Linux locks sealed memory, and drops the contents of what could be overwritten anyway.
enum class OnSealed { refuse, allow };

// Which seals of the source refuse a remap: those of all its pages, or (Linux) of its first and of what
// changes.
enum class Seals { of_any_page, of_first_page };

namespace request {

struct Map {
    Size size;
    Placement placement;
    Occupied occupied = Occupied::refuse;
    Prot prot = read_write;
    Attributes attributes;
};

struct Unmap {
    Range range;
    Holes holes = Holes::none;  // `anywhere` accepts an empty range too
};

// Every form of mremap: the pages of `source` become the first pages of a range of `new_size` bytes.
// What is beyond them is new memory, what does not fit goes.
struct Remap {
    Range source;
    Size new_size;
    Placement placement;
    Occupied occupied = Occupied::refuse;
    Holes holes = Holes::none;
    SourceAfter source_after = SourceAfter::unmapped;
    Crossing crossing = Crossing::allowed;
    Contents contents = Contents::keep;
    Seals seals = Seals::of_any_page;
    DuplicateLock duplicate_lock = DuplicateLock::dropped;
    std::optional<Prot> prot = {};  // none: each page keeps its own
};

struct Protect {
    Range range;
    Prot prot;
};

// Gives the pages back; the range stays mapped and reads zero, in all views.
struct Release {
    enum class Scope {
        all,           // whatever it is
        private_only,  // what has the attribute shared keeps its contents
    };
    Range range;
    Scope scope = Scope::all;
    OnSealed on_sealed = OnSealed::refuse;
};

struct Exchange {
    Range a;
    Range b;  // of equal size, not overlapping
};

// A copy-on-write duplicate.
struct Snapshot {
    Range source;
    Placement placement;
    Occupied occupied = Occupied::refuse;
    std::optional<Prot> prot;
};

struct SetAttribute {
    enum class Which { locked, pinned, sealed };
    enum class Value { off, on };
    Range range;
    Which which;
    Value value;
    OnSealed on_sealed = OnSealed::refuse;
};

// Every page gets memory of its own now, so that touching it later costs nothing.
struct Populate {
    Range range;
};

}  // namespace request

using Request = std::variant<request::Map, request::Unmap, request::Remap, request::Protect, request::Release,
                             request::Exchange, request::Snapshot, request::SetAttribute, request::Populate>;

}  // namespace remap
