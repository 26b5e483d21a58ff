// Stage 2 with books of its memslots: which guest-physical range each shows, and where on the host its memory
// is. What the two mechanisms have in common.
//
//     guest-physical   [ slot 3 ]....[ slot 1 ]....[ slot 2 ]
//                            \          |         /
//     arena            [ place 1 ][ place 2 ]......[ place 3 ]      home | annex
//
// The arena is the reservation's window and annex: `home`, where every guest-physical address has a place of
// its own, and `annex`, whose places are handed out as they are free. Books are restored when a call is
// undone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "remap/tree.h"
#include "vmm/memory/stage2.h"

namespace gpremap {

class SlottedStage2 : public Stage2 {
  protected:
    using HostAddress = remap::Address<struct HostTag>;
    using HostRange = remap::BasicRange<HostAddress>;

    // A slot that KVM has. Its memory is in a place that is taken.
    struct Slot {
        remap::Range range;
        HostAddress host;
        uint32_t number;
    };
    // A piece of a range, as large as it can be with its memory in one piece on the host.
    struct Part {
        remap::Range range;
        std::byte* host;
    };

    using Stage2::Stage2;

    void begin() override;
    void end(Outcome outcome) override;

    // What of the range lies in slots, in order. visit_parts allocates nothing.
    std::vector<Part> parts_of(const remap::Range& range) const;
    template <class Visit>
    void visit_parts(const remap::Range& range, Visit visit) const;
    std::vector<Slot> slots_in(const remap::Range& range) const;
    const Slot* slot_at(remap::Gpa at) const { return books_.slots.find(at); }
    uint64_t slot_count() const { return books_.slots.size(); }
    // How many more slots KVM takes.
    uint64_t slots_left() const;
    // From `at`, where no slot is, to the next slot or `limit`.
    remap::Range gap_from(remap::Gpa at, remap::Gpa limit) const;

    HostRange home() const;
    HostRange annex() const;
    HostRange arena() const;
    HostAddress home_of(remap::Gpa at) const;
    // Takes the place if all of it is free. Nothing is mapped there by that.
    enum class Taken { yes, no };
    Taken take_place_at(const HostRange& place);
    // A free place in `within`, congruent to an address, so that huge pages fit. ENOMEM where there is none.
    int take_place(const HostRange& within, uint64_t size, uint64_t congruent_to, std::byte*& at);
    // Once the call has succeeded, the place, which may be part of one, is free.
    void leave_place_at_end(std::byte* at, uint64_t size);

    // Each notes how to undo it. While a vCPU runs, only `add` may be called.
    int add(const remap::Range& range, HostAddress host);
    int remove(const Slot& slot);
    int cut(remap::Gpa at);
    int cut_ends(const remap::Range& range);
    // Makes one slot of two that meet at `at`, if their memory meets too and they lie in one chunk.
    int join(remap::Gpa at, remap::Size chunk);
    int move_slots(const remap::Range& from, remap::Gpa to);
    int exchange_slots(const remap::Range& a, const remap::Range& b);

    // ---- the changes: each notes how to undo it, and returns the errno of a host call that failed ----

    // Those in which the mechanisms differ.
    virtual int make(const remap::change::Unmap& change) = 0;
    virtual int make(const remap::change::Move& change) = 0;
    virtual int make(const remap::change::Exchange& change) = 0;
    // Fresh memory, or a view, at a range where nothing is mapped.
    virtual int map_new(const remap::Range& range, remap::Memory memory, remap::Prot prot) = 0;

    // Where memory waits until the call has succeeded: in the places of `within`, where otherwise nothing is
    // mapped (hole), or what nobody can access (closed).
    enum class Vacant { hole, closed };
    struct Waiting {
        HostRange within;
        Vacant vacant;
    };
    virtual Waiting waiting() const = 0;
    // When memory that is promoted is copied. Where vCPUs run it has been set aside by then: what one wrote
    // to it meanwhile would be lost. Where they are paused it need not, and leaves no hole for as long.
    enum class Copied { after_it_was_set_aside, where_it_is };
    virtual Copied copied() const = 0;

    // Moves the memory of the part to where it waits: it goes back on failure, and away on success. What the
    // part had is a hole. Of what is `anonymous`, the pool gets its share once the call has succeeded.
    int set_aside(const Part& part, std::byte*& aside, const std::vector<remap::Range>& anonymous = {});
    // Of what is `anonymous` in the part, which is about to go.
    void split_at_ends_of(const Part& part, const std::vector<remap::Range>& anonymous);
    // Fills the hole that has been left. Anything that is there already is not ours: the guest would see it,
    // so std::system_error is thrown.
    int close_vacated(std::byte* at, uint64_t size);
    // The rights of new memory. Where a vCPU can run, writing is allowed when the call has succeeded: what it
    // wrote before would be lost if the call failed.
    int prot_until_end(const Part& part, int prot);
    // Anonymous or of the object, in place of what is there.
    int map(std::byte* at, uint64_t size, remap::Memory memory, int prot);

    // Of both: Free, which punches its hole at once.
    bool can_destroy(const remap::Change& change) const override;
    int destroy(const remap::Change& change) override;

    static HostAddress address_of(const std::byte* at) { return {reinterpret_cast<uint64_t>(at)}; }
    static std::byte* pointer_to(HostAddress at) { return reinterpret_cast<std::byte*>(at.value); }

  private:
    int carry_out(const remap::Change& change) final;

    // Those that both carry out in the same way.
    int make(const remap::change::Map& change);
    int make(const remap::change::View& change);
    int make(const remap::change::Protect& change);
    int make(const remap::change::Promote& change);
    int make(const remap::change::Privatize& change);
    int make(const remap::change::Snapshot& change);
    int make(const remap::change::Copy& change);
    int make(const remap::change::Populate& change);
    int make(const remap::change::Discard& change);
    int make(const remap::change::Free& change);
    int copy_and_set_aside(const Part& part, const remap::change::Promote& change);
    // snapshots.cpp
    int fold(const Part& part, const remap::change::Snapshot& change);
    int copy_written(const remap::change::Snapshot& change);
    int make_readable(std::byte* at, uint64_t size, remap::Prot prot);
    bool may_copy_later(const remap::change::Snapshot& change) const;
    int make_later(const remap::change::Snapshot& change, bool folds);
    std::vector<LateCopies::Piece> pieces_of(const remap::change::Snapshot& change) const;
    int map_scratch(const remap::change::Snapshot& change, LateCopies::Snapshot& later);
    int copy_readable(std::byte* from, const Part& part, const remap::change::Promote& change);

    struct Place {
        HostRange range;
    };
    // Copying it is cheap.
    struct Books {
        remap::Tree<Slot, remap::Gpa> slots;
        remap::Tree<Place, HostAddress> places;
    };

    int move_slot(const Slot& slot, remap::Gpa to);
    void leave_place(const HostRange& left);

    Books books_, before_;
    std::vector<HostRange> leaving_;                      // places that are free once the call has succeeded
    std::vector<uint32_t> free_numbers_;                  // of slots that were deleted
    std::vector<uint32_t> numbers_taken_, numbers_left_;  // by the call in progress
    uint32_t next_number_ = Vm::guest_slots;
};

template <class Visit>
void SlottedStage2::visit_parts(const remap::Range& range, Visit visit) const {
    std::optional<Part> part;  // may continue in the next slot
    books_.slots.visit_overlapping(range, [&](const Slot& slot) {
        remap::Range inside = *slot.range.intersection(range);
        std::byte* host = pointer_to(slot.host.advanced(inside.start().above(slot.range.start())));
        bool continues =
            part && part->range.end() == inside.start() && part->host + part->range.size().bytes == host;
        if (continues) {
            part->range = remap::Range::between(part->range.start(), inside.end());
        } else {
            if (part) visit(*part);
            part = {inside, host};
        }
        return true;
    });
    if (part) visit(*part);
}

}  // namespace gpremap
