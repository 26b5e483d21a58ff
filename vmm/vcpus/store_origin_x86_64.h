// Where a store came from that KVM's emulator has carried as far as an MMIO exit, on x86-64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "vmm/kvm/kvm.h"

namespace gpremap {

// A store that KVM's emulator carried as far as an MMIO exit.
struct PendingStore {
    uint64_t address;
    std::span<const std::byte> data;
};

// Where such a store came from.
struct StoreOrigin {
    enum class Repeat {
        exact,   // from `before` the instruction does all that it did, and the store
        unlike,  // some of its inputs are overwritten: only before.rip is to be used
    };
    kvm_regs before;
    Repeat repeat;
};

// The emulator leaves the registers as after the instruction, so this looks backwards: for the longest
// instruction that ends at after.rip and stores `store`, or the repeated string instruction at after.rip
// that just did. `preceding` are the bytes up to after.rip, `following` those from it.
// Nothing where no such instruction is found (say, after a call).
std::optional<StoreOrigin> find_origin(const kvm_regs& after, std::span<const std::byte> preceding,
                                       std::span<const std::byte> following, const PendingStore& store);

}  // namespace gpremap
