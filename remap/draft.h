// A plan being made: the space is changed and the changes that do the same to memory are noted, side by side.
#pragma once

#include <tl/expected.hpp>

#include "remap/plan.h"
#include "remap/refusal.h"
#include "remap/request.h"

namespace remap {

class Draft {
  public:
    explicit Draft(const Space& space) : before_(space), plan_{space, {}} {}

    const Space& before() const { return before_; }
    Space& after() { return plan_.after; }
    void add(Change change) { plan_.changes.push_back(std::move(change)); }

    // Unmaps whatever is mapped in the range.
    void unmap(const Range& range);
    void protect(const Range& range, Prot prot);
    void populate(const Range& range);

    // What needs memory of the object is false when that is used up.

    // New zero-filled memory like `model` (its rights, attributes and lineage); one mapping, in one or more extents.
    [[nodiscard]] bool map_fresh(Extent model);
    // The same, but the changes leave it writable for now.
    [[nodiscard]] bool map_fresh_for_copy(const Extent& model);
    // Makes the extent, which is mapped, one that the object backs, so that others can map its pages.
    [[nodiscard]] bool promote(Extent& extent);
    // Gives back the pages of one extent, which stays mapped and reads zero.
    [[nodiscard]] bool release(const Extent& extent, request::Release::Scope scope);

    void note_split(Gpa at);
    void note_move(const Range& from, Gpa to);

    // The plan, unless the space has grown beyond its limits.
    tl::expected<Plan, Cause> finish(Gpa result, Size bytes);

  private:
    void map_piece(const Extent& piece);
    std::vector<Extent> take(const Range& range);
    std::vector<Range> anonymous_in(const Range& run) const;
    void free_dropped();

    const Space& before_;
    Plan plan_;
    std::vector<ObjectRange> dropped_;  // pages that may have lost their last view
};

// Whether giving back the pages of these extents would take one from whoever has pinned it, through whichever
// view that was.
bool releases_pinned(const Space& space, const std::vector<Extent>& extents, request::Release::Scope scope);

}  // namespace remap
