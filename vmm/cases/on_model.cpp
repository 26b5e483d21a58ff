// The pure library as a place for cases: plans are made as for a VM, and carried out on model memory.

#include <algorithm>

#include "remap/model_memory.h"
#include "remap/native.h"
#include "remap/space.h"
#include "vmm/calls/batch.h"
#include "vmm/calls/catalogue.h"
#include "vmm/cases/runner.h"

namespace gpremap {

namespace {

using remap::Gpa;
using remap::Range;
using remap::Size;

remap::Space empty_space(const MemoryConfig& memory) {
    return {Range::of(Gpa{memory.aperture_base}, Size{memory.aperture_size}),
            Size{memory.granule},
            remap::FreshMemory::anon,
            {Size{memory.limit}, Size{memory.lock_limit}, memory.max_extents}};
}

class ModelPlace : public PlaceByCalls {
  public:
    explicit ModelPlace(uint64_t granule)
        : PlaceByCalls(granule), space_(empty_space(case_memory(granule))), memory_(Size{granule}) {}

    int64_t call(const RawCall& call) override {
        const auto plan = call.number == abi::Call::batch ? plan_whole(call.batch)
                                                          : plan_call(space_, call.number, call.args);
        if (!plan) return -static_cast<int64_t>(plan.error());
        for (const remap::Change& change : plan->changes) memory_.apply(change);
        space_ = plan->after;
        return static_cast<int64_t>(plan->result.value);
    }

    bool faults(uint64_t at, abi::FaultKind access) override {
        const auto* page = memory_.find(granule_of(at));
        if (page == nullptr) return true;
        // At stage 2 whatever is mapped with any right can be read.
        return access == abi::FaultKind::write ? !page->prot.allows(remap::writable)
                                               : page->prot == remap::no_access;
    }

    std::string picture(uint64_t at, uint64_t granules, Touch) override {
        std::string seen;
        for (uint64_t i = 0; i < granules; ++i) seen += granule_seen(Gpa{at + i * granule()});
        return seen;
    }

    uint64_t extents(uint64_t at, uint64_t granules) override {
        const auto found = remap::native::query(space_, at, granules * granule());
        if (!found) throw CaseFailed("the window cannot be queried");
        return found->size();
    }

    uint64_t peek(uint64_t at) override {
        const auto value = memory_.read(granule_of(at));
        if (!value) throw CaseFailed("nothing is mapped where a pair of granules should be");
        return *value;
    }

    void poke(uint64_t at, uint64_t value) override {
        peek(at);
        memory_.write(granule_of(at), value);
    }

  private:
    Gpa granule_of(uint64_t at) const { return Gpa{at / granule() * granule()}; }

    remap::Answer plan_whole(const std::vector<RawCall>& batch) const {
        if (!is_batch_size(batch.size())) return remap::fails(remap::Errno::einval);
        std::vector<abi::BatchCall> calls;
        for (const RawCall& call : batch) {
            calls.push_back({static_cast<uint64_t>(call.number), {}, 0});
            std::ranges::copy(call.args, calls.back().arg);
        }
        return plan_batch(space_, calls);
    }

    void fill(uint64_t at, uint8_t byte) override { memory_.write(Gpa{at}, byte); }

    void set_limits(uint64_t memory, uint64_t locked, uint64_t extents) override {
        space_.set_limits({Size{memory}, Size{locked}, extents});
    }

    // Book and memory must tell the same.
    char granule_seen(Gpa at) const {
        const auto* page = memory_.find(at);
        const remap::Extent* extent = space_.find(at);
        if ((page == nullptr) != (extent == nullptr)) return '!';
        if (page == nullptr) return '.';
        if (page->prot != extent->prot) return '!';
        if (page->prot == remap::no_access) return '_';
        const uint64_t value = *memory_.read(at);
        const char letter = value > 0xff ? '?' : letter_of_byte(static_cast<uint8_t>(value));
        return page->prot.allows(remap::writable) ? letter : static_cast<char>(toupper(letter));
    }

    remap::Space space_;
    remap::ModelMemory memory_;
};

}  // namespace

CaseOutcome run_case_on_model(const Case& c) {
    ModelPlace place(c.granule);
    return run_case(place, c);
}

}  // namespace gpremap
