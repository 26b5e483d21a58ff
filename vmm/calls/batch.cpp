#include "vmm/calls/batch.h"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "vmm/calls/catalogue.h"

namespace gpremap {

namespace {

// Bytes of memory that waits for the end of the batch because of a change to `before`. What the object holds waits
// when its last view has gone, and not before.
struct Waiting {
    const remap::Space& before;

    uint64_t operator()(const remap::change::Unmap& unmap) const {
        uint64_t bytes = 0;
        for (const remap::Extent& extent : before.extents_in(unmap.range))
            if (extent.memory.kind != remap::MemoryKind::object) bytes += extent.range.size().bytes;
        return bytes;
    }
    uint64_t operator()(const remap::change::Discard& discard) const { return discard.range.size().bytes; }
    uint64_t operator()(const remap::change::Promote& promote) const { return promote.range.size().bytes; }
    uint64_t operator()(const remap::change::Free& free) const { return free.pages.size().bytes; }
    template <class Other>
    uint64_t operator()(const Other&) const {
        return 0;
    }
};

// How many pieces a change to `before` is about, each of which the host moves or takes away by itself, in however few
// calls it is asked to.
struct Pieces {
    const remap::Space& before;

    uint64_t operator()(const remap::change::Move& move) const { return in(move.from); }
    uint64_t operator()(const remap::change::Exchange& exchange) const {
        return in(exchange.a) + in(exchange.b);
    }
    uint64_t operator()(const remap::change::Unmap& unmap) const { return in(unmap.range); }
    template <class Other>
    uint64_t operator()(const Other&) const {
        return 1;
    }

    uint64_t in(const remap::Range& range) const {
        return std::max<uint64_t>(1, before.extents_in(range).size());
    }
};

// Keeps one plan of several.
class Whole {
  public:
    explicit Whole(const remap::Space& space) : plan_{space, {}} {}

    const remap::Space& space() const { return plan_.after; }

    // False where the batch takes too much with it.
    [[nodiscard]] bool add(remap::Plan next) {
        for (const remap::Change& change : next.changes) {
            waiting_ += std::visit(Waiting{plan_.after}, change);
            pieces_ += std::visit(Pieces{plan_.after}, change);
        }
        if (waiting_ > next.after.limits().memory.bytes || pieces_ > most_batch_pieces) return false;
        plan_.after = std::move(next.after);
        plan_.changes.insert(plan_.changes.end(), next.changes.begin(), next.changes.end());
        plan_.bytes.bytes += next.bytes.bytes;
        plan_.moved = plan_.moved || next.moved;
        plan_.huge_kept = plan_.huge_kept && next.huge_kept;
        return true;
    }

    remap::Plan take() { return std::move(plan_); }

  private:
    remap::Plan plan_;
    uint64_t waiting_ = 0;  // bytes
    uint64_t pieces_ = 0;
};

}  // namespace

bool is_batch_size(uint64_t count) {
    return count > 0 && count <= GPREMAP_MAX_BATCH;
}

remap::Answer plan_batch(const remap::Space& space, std::span<abi::BatchCall> calls) {
    Whole whole(space);
    for (abi::BatchCall& call : calls) {
        const CallRow* row = find_call(static_cast<abi::Call>(call.number));
        if (!row || !row->is_batchable()) return remap::fails(remap::Errno::einval);
        auto plan = row->plan(whole.space(), std::to_array(call.arg));
        if (!plan) return plan;
        call.result = static_cast<int64_t>(plan->result.value);
        if (!whole.add(std::move(*plan))) return remap::fails(remap::Errno::enomem);
    }
    return whole.take();
}

}  // namespace gpremap
