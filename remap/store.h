// Which pages of the backing object are in use, and by how many extents: aliases share pages, the
// last one to go frees them. Also hands out new offsets.
//
// The object is sparse and practically endless (2^62 bytes), so offsets are never used twice: a page
// that was freed can not come back with old contents under a new name.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "remap/tree.h"

namespace remap {

class Store {
  public:
    // Fresh offsets for `size` bytes, congruent to `phase` modulo `modulus`, so that huge pages of the
    // object can be mapped where the guest address is congruent too. Nothing when the object is used up.
    std::optional<ObjectRange> allocate(Size size, Size modulus, uint64_t phase);

    // One more, one fewer extent maps the range.
    void add_view(const ObjectRange& range);
    void drop_view(const ObjectRange& range);

    // How many extents map the page at `at`.
    uint64_t views(Offset at) const;

    // The parts of `range` that exactly one extent maps.
    std::vector<ObjectRange> exclusive(const ObjectRange& range) const;

    // The parts of `range` that nobody maps.
    std::vector<ObjectRange> unused(const ObjectRange& range) const;

    // Bytes that at least one extent maps; a page with several counts once.
    Size used() const { return used_; }

  private:
    struct Usage {
        ObjectRange range;
        uint64_t views;
    };

    void change_views(const ObjectRange& range, int64_t by);
    void cut(Offset at);
    void join(Offset at);

    Tree<Usage, Offset> usage_;  // only ranges with at least one view
    Offset next_{0};
    Size used_{0};
};

}  // namespace remap
