// The guest-physical address space of one VM: what is mapped where, as a value.
//
// Copying is O(1) and every change O(log n) in the number of extents, so a plan is made by changing a
// copy. A Space never checks what a call may do (that is planner.h); it only keeps the books.
//
// What a caller sees, and the documentation calls an extent, is a mapping here: neighbouring extents that
// nothing tells apart, though their memory may be in several places.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "remap/extent.h"
#include "remap/store.h"
#include "remap/tree.h"

namespace remap {

// Where new memory comes from: anonymous memory, or the backing object from the start.
enum class FreshMemory { anon, object };

struct Limits {
    Size memory{UINT64_MAX};  // what mapped pages may take on the host
    Size locked{UINT64_MAX};  // of locked extents
    uint64_t mappings = UINT64_MAX;
    uint64_t extents = UINT64_MAX;
};

class Space {
  public:
    // Calls act inside `aperture` only, in units of `granule` (a power of two that divides both ends).
    Space(const Range& aperture, Size granule, FreshMemory fresh, const Limits& limits);

    const Range& aperture() const { return aperture_; }
    Size granule() const { return granule_; }
    FreshMemory fresh_memory() const { return fresh_; }
    const Limits& limits() const { return limits_; }
    void set_limits(const Limits& limits) { limits_ = limits; }

    // The extent that contains `at`, or null. Valid until the next change of this space.
    const Extent* find(Gpa at) const { return extents_.find(at); }
    // What is mapped in `range`, in order, clipped to it.
    std::vector<Extent> extents_in(const Range& range) const;
    // The same as mappings, with the memory of the first extent of each.
    std::vector<Extent> mappings_in(const Range& range) const;
    // The same as maximal runs without a hole, whatever they consist of.
    std::vector<Range> runs_in(const Range& range) const;
    bool is_covered(const Range& range) const;
    bool is_vacant(const Range& range) const;
    // The mapping that contains `at`, which must be mapped.
    Range mapping_of(Gpa at) const;

    Size memory_used() const { return {private_.bytes + store_.used().bytes}; }
    Size locked() const { return locked_; }
    Size locked_in(const Range& range) const;
    uint64_t mapping_count() const { return extents_.size() - seams_; }
    uint64_t extent_count() const { return extents_.size(); }
    const Store& store() const { return store_; }
    // Whether a pinned extent maps some of these pages of the object.
    bool holds_pinned(const ObjectRange& pages) const {
        return pins_.unused(pages) != std::vector<ObjectRange>{pages};
    }

    // The lowest free place for `size` bytes congruent to `phase` modulo `modulus`.
    std::optional<Gpa> lowest_gap(Size size, Size modulus, uint64_t phase) const {
        return extents_.lowest_gap(aperture_, size, modulus, phase);
    }

    // ---- changes ----

    // Maps an extent into a vacant range.
    void put(const Extent& extent);
    // Unmaps the range and returns what was there.
    std::vector<Extent> take(const Range& range);
    // The lineage of new memory that is about to be mapped as `fresh` is, whose own lineage is ignored.
    Lineage new_lineage(const Extent& fresh);
    // The lineage of memory that has lost its family but not its origin.
    Lineage adopted_lineage(const Extent& orphan);
    // Offsets for `size` bytes of the object that are not in use, placed so that huge pages fit at `at`.
    std::optional<ObjectRange> allocate(Size size, Gpa at);
    // The same for all of `range`, in order: pieces of what is offered, as far as there is any, and the rest fresh. Where
    // many extents would come of it, nothing of what is offered. Empty when the object is used up.
    std::vector<ObjectRange> allocate_ready(const Range& range);
    // See Store::offer.
    void offer(const Store::Offer& offer) { store_.offer(offer); }

  private:
    void cut(Gpa at);
    void account(const Extent& extent, int64_t sign);
    // How many of the two boundaries of `extent` are seams.
    uint64_t seams_of(const Extent& extent) const;

    Range aperture_;
    Size granule_;
    FreshMemory fresh_;
    Limits limits_;

    Tree<Extent, Gpa> extents_;
    Store store_;
    Store pins_;       // the same of pinned extents alone
    Size private_{0};  // bytes of anon and cow extents: at worst each has a page of its own
    Size locked_{0};
    uint64_t seams_ = 0;     // neighbours that are two extents of one mapping
    uint64_t families_ = 0;  // handed out so far
};

}  // namespace remap
