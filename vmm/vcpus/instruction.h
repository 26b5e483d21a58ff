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

// Bytes: no instruction of any architecture is longer.
inline constexpr std::size_t longest_instruction = 15;

// One access, within one 4 KiB page. What reads and writes the same place counts as a write.
struct Access {
    uint64_t address;
    uint64_t size;  // bytes
    abi::FaultKind kind;

    bool operator==(const Access&) const = default;
};

// The accesses that the instruction at instruction_address(regs) makes next, in the processor's order: the fetch of the
// instruction, reads, writes. Of a repeated string instruction, those of its next round. One that
// straddles 4 KiB pages is listed once for each.
// `code` is what could be read there: too little of it leaves the fetch alone in the list, and so
// does an instruction that is not known.
std::vector<Access> locate(const kvm_regs& regs, std::span<const std::byte> code);

}  // namespace gpremap
