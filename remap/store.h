// Which pages of the backing object are in use, and by how many extents: aliases share pages, the
// last one to go frees them. Also hands out new offsets.
//
// The object is sparse and practically endless (2^62 bytes), so offsets are never used twice: a page
// that was freed can not come back with old contents under a new name. But for those that are offered: whoever
// has kept freed pages, and zeroed them, says which.
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

    // What whoever keeps freed pages has: offsets that read zero, have their memory already and are mapped by no extent,
    // and room for so many bytes more. All in multiples of the unit; it replaces what was offered before.
    struct Offer {
        std::vector<ObjectRange> ready;
        Size unit;
        Size room;
    };
    void offer(const Offer& offer);
    // Of those a piece of at most `size` bytes, a multiple of the unit: from the smallest that has as much, or else all
    // of the largest. Nothing where none is left. Nobody else gets it.
    std::optional<ObjectRange> take_offered(Size size);
    // The unit, if there is something to take.
    std::optional<Size> offered() const;
    // Whether some of `freed` would be kept, were it unmapped.
    bool keeps_some_of(Size freed) const { return room_ >= unit_ && freed >= unit_ && unit_.bytes > 0; }

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

    struct Ready {
        ObjectRange range;
    };

    Tree<Usage, Offset> usage_;  // only ranges with at least one view
    Tree<Ready, Offset> ready_;
    Size unit_{0}, room_{0};  // 0 where nobody keeps freed pages
    Offset next_{0};
    Size used_{0};
};

}  // namespace remap
