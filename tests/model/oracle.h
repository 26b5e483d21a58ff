// The native calls once more, granule by granule, written from docs/semantics.md and not from the planner:
// a row of slots, each of which names a page. It knows nothing of extents, objects or copy-on-write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "remap/native.h"

namespace oracle {

enum class Kind {
    map,
    unmap,
    move,
    grow,
    shrink,
    alias,
    snapshot,
    exchange,
    protect,
    release,
    lock,
    unlock,
    pin,
    unpin,
    seal,
};

// One native call with its raw arguments; those that its kind does not take are 0.
struct Call {
    Kind kind;
    uint64_t at = 0;  // the source; for map the place
    uint64_t to = 0;  // the destination; for exchange the second range
    uint64_t len = 0;
    uint64_t new_len = 0;
    uint64_t prot = 0;
    uint64_t flags = 0;
};

remap::Answer plan(const remap::Space& space, const Call& call);

// For a person: the arguments as granules from `base`.
std::string text(const Call& call, uint64_t base, uint64_t granule);

struct Slot {
    bool mapped = false;
    size_t page = 0;  // two slots with the same page are one memory
    uint8_t prot = 0;
    remap::Attributes attributes;

    friend bool operator==(const Slot&, const Slot&) = default;
};

// What must come of a call.
struct Verdict {
    std::optional<remap::Errno> error;
    // Where the result must be; none: at any free place, or the call has no address.
    std::optional<size_t> at;
    bool anywhere = false;
};

struct Limits {
    size_t pages = SIZE_MAX;
    size_t locked = SIZE_MAX;
};

class Oracle {
  public:
    Oracle(uint64_t base, uint64_t granule, size_t slots) : base_(base), granule_(granule), slots_(slots) {}

    Verdict judge(const Call& call) const;
    // Carries out a call that judge() lets pass; `at` is the slot where its result is.
    void apply(const Call& call, size_t at);

    size_t size() const { return slots_.size(); }
    const Slot& slot(size_t index) const { return slots_[index]; }
    uint64_t read(size_t index) const { return contents_[slots_[index].page]; }
    void write(size_t index, uint64_t value) { contents_[slots_[index].page] = value; }

    uint64_t address(size_t index) const { return base_ + index * granule_; }
    // The slot at an address inside the aperture, on a granule.
    size_t index(uint64_t address) const { return (address - base_) / granule_; }
    bool is_vacant(size_t at, size_t count) const;
    // Different pages that are mapped, and slots that are locked.
    size_t pages() const;
    size_t locked() const;
    void set_limits(const Limits& limits) { limits_ = limits; }

  private:
    // Slots, which may go past the end of the aperture before it has been checked.
    struct Run {
        size_t at = 0;
        size_t count = 0;
    };
    using Slots = uint64_t;  // a set: bit n is slot n
    // What a call is about, so that one function can check every call in the one order.
    struct Facts;

    bool is_malformed(const Call& call) const;
    bool is_range(uint64_t at, uint64_t len) const;
    bool is_outside(const Call& call) const;
    bool leaves_aperture(uint64_t at, uint64_t len) const;
    Facts facts_of(const Call& call) const;
    void describe_map(const Call& call, Facts& facts) const;
    void describe_transfer(const Call& call, Facts& facts) const;
    void describe_resize(const Call& call, Facts& facts) const;
    void describe_change(const Call& call, Facts& facts) const;
    void put_in_place(const Call& call, size_t count, Facts& facts) const;
    std::optional<remap::Errno> refusal(const Call& call, const Facts& facts) const;
    size_t pages_after(const Call& call, const Facts& facts) const;
    Slots with(bool remap::Attributes::*attribute) const;

    Run run(uint64_t at, uint64_t len) const { return {(at - base_) / granule_, len / granule_}; }
    Slots mapped_in(const Run& run) const;
    Slots views_of(const Run& run) const;
    bool is_mapped(const Run& run) const;
    bool has_room(size_t count) const;
    Slot fresh(uint8_t prot, const remap::Attributes& attributes, uint64_t value);
    void move(const Run& from, size_t to);

    uint64_t base_, granule_;
    Limits limits_;
    std::vector<Slot> slots_;
    std::vector<uint64_t> contents_;  // of each page
};

}  // namespace oracle
