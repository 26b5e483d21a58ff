// One space in three forms that must never differ: the planner's, simulated memory, and the oracle.
#pragma once

#include "remap/model_memory.h"
#include "tests/model/oracle.h"

namespace oracle {

class Trial {
  public:
    Trial(uint64_t base, remap::Size granule, size_t slots, remap::FreshMemory fresh);

    // Makes the call on all three. What differs, for a person; empty where nothing does. After a call that
    // is refused all three are as before.
    std::string make(const Call& call);
    // The same, on copies: this stays as it is.
    std::string check(const Call& call) const;
    // What make() would return if a write to each slot were looked for in every other.
    std::string check_writes() const;

    // As a test that builds a layout needs it: the call must succeed everywhere.
    void must(const Call& call);
    void write(size_t slot, uint64_t value);
    // From now on so many granules more than now may be mapped, and locked; SIZE_MAX: any number.
    void limit_to_used(size_t more_pages, size_t more_locked);

    const remap::Space& space() const { return space_; }
    const Oracle& oracle() const { return oracle_; }
    Call with_addresses(Kind kind, size_t at, size_t to, size_t len) const;

  private:
    std::string difference() const;
    std::string slot_difference(size_t index) const;
    std::string carry_out(const Call& call, const remap::Plan& plan, const Verdict& verdict);

    remap::Space space_;
    remap::ModelMemory memory_;
    Oracle oracle_;
};

}  // namespace oracle
