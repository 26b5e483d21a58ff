// Finds out which access of a guest instruction did not get through, where KVM does not tell.
// Pure: registers and instruction bytes in, addresses out. Guest-virtual and guest-physical addresses
// are the same number (abi/agent.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

// x86: no instruction is longer.
inline constexpr std::size_t longest_instruction = 15;

// One access, within one 4 KiB page. What reads and writes the same place counts as a write.
struct Access {
    uint64_t address;
    uint64_t size;  // bytes
    abi::FaultKind kind;

    bool operator==(const Access&) const = default;
};

// The accesses that the instruction at regs.rip makes next, in the processor's order: the fetch of the
// instruction, reads, writes. Of a repeated string instruction, those of its next round. One that
// straddles 4 KiB pages is listed once for each.
// `code` is what could be read at regs.rip: too little of it leaves the fetch alone in the list, and so
// does an instruction that is not known.
std::vector<Access> locate(const kvm_regs& regs, std::span<const std::byte> code);

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
