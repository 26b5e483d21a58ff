// A plan: the changes that carry a request out, and the space afterwards. planner.h makes it.
//
// A plan is a value. Making one changes nothing; whoever applies its changes to real memory either
// applies them all and keeps `after`, or undoes what was applied and keeps the space it had.
#pragma once

#include <variant>
#include <vector>

#include "remap/space.h"

namespace remap {

// Changes name guest-physical ranges. Every change keeps what is mapped elsewhere as it is.
namespace change {

// Fresh zero memory at a range where nothing is mapped: anonymous, or these offsets of the object.
struct Map {
    Range range;
    Memory memory;
    Prot prot;
};

// Another view of pages that the object already has; `cow`: a private one.
struct View {
    Range range;
    Memory memory;
    Prot prot;
};

// What is mapped in the range goes. The range has no holes.
struct Unmap {
    Range range;
    std::vector<Range> anonymous = {};  // the parts whose memory is: nobody else can see its pages
};

// The memory of `from` (which has no holes) appears at `to`, which may overlap it and is otherwise
// vacant; nothing is mapped any more where only `from` was.
struct Move {
    Range from;
    Gpa to;
};

struct Protect {
    Range range;
    Prot prot;
    Prot was;
};

// The contents of the range are copied to `offset` of the object, which then backs the range.
struct Promote {
    Range range;
    Offset offset;
    Prot prot;        // stays as it is
    Memory was = {};  // anonymous, or private copies of some of these pages of the object
};

// The range, which is backed by the object, gets private copy-on-write pages over it.
struct Privatize {
    Range range;
    Memory memory;
    Prot prot;
};

// `from` has private pages over those of the object at `memory`. A second private view of these appears at `to`, where
// nothing is mapped, and reads what `from` reads now. How much is copied for that is left to whoever makes it:
//
//     seen by others   object [ a | b | c ]    from [   | B |   ]    to [   | B |   ]   what was written is copied
//     exclusive        object [ a | B | c ]    from [   |   |   ]    to [   |   |   ]   or goes into the object
struct Snapshot {
    Range from;
    Prot from_prot;  // stays as it is
    Memory memory;
    Gpa to;
    Prot prot;
    bool exclusive;  // nobody else sees these pages of the object, before the call and after it
};

// The memory of two equal ranges, neither with holes, changes places.
struct Exchange {
    Range a;
    Range b;
};

// What these pages of the object hold is copied to `to`, where fresh writable memory is.
struct Copy {
    ObjectRange from;
    Gpa to;
};

// Every page of the range that can be accessed gets memory now.
struct Populate {
    Range range;
    Prot prot;
};

// Anonymous and private pages of the range are given back; anonymous memory then reads zero.
struct Discard {
    Range range;
    Prot prot;
};

// Pages of the object are given back. They read zero wherever they are still `mapped`; what is unmapped may be kept, and
// has to be zeroed before it is offered again.
struct Free {
    enum class Pages { mapped, unmapped };
    ObjectRange pages;
    Pages are = Pages::mapped;
};

}  // namespace change

using Change = std::variant<change::Map, change::View, change::Unmap, change::Move, change::Exchange,
                            change::Protect, change::Promote, change::Privatize, change::Snapshot,
                            change::Copy, change::Populate, change::Discard, change::Free>;

struct Plan {
    Space after;
    std::vector<Change> changes;
    Gpa result{};   // where the caller finds what was asked for; 0 where the call has no address
    Size bytes{0};  // how much guest-physical memory the request was about
    bool moved = false;
    // Source and destination are congruent modulo the largest page that fits the range, so no huge
    // page has to be split.
    bool huge_kept = true;
};

}  // namespace remap
