// The report of a guest that died: why, its registers, and what it asked for last.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/kvm/kvm.h"

namespace gpremap {

// The last hypercalls of one vCPU.
class HypercallLog {
  public:
    static constexpr std::size_t kept = 16;

    // Begins an entry; the result is missing until it is set, and stays so if the vCPU dies in the call.
    void add(uint64_t number, const std::array<uint64_t, 6>& args);
    void set_result(int64_t result);

    // A line each, oldest first.
    std::string text() const;

  private:
    struct Entry {
        uint64_t number = 0;
        std::array<uint64_t, 6> args = {};
        std::optional<int64_t> result;
    };
    std::array<Entry, kept> entries_;
    std::size_t count_ = 0;  // ever added
};

// "write to 0x... refused by the second stage, rip 0x..., vCPU 0".
std::string describe(const abi::Fault& fault);

// ---- post_mortem_<architecture>.cpp ----

struct RegisterInWords {
    const char* name;
    uint64_t value;
};
std::vector<RegisterInWords> in_words(const kvm_regs& regs, const SpecialRegisters& special);
// "ring 3", "EL0".
std::string privilege(const kvm_regs& regs, const SpecialRegisters& special);

// ---- the report ----

// `reason` first; registers and hypercalls below it. Several lines.
std::string post_mortem(const std::string& reason, unsigned vcpu, const kvm_regs& regs,
                        const SpecialRegisters& special, const HypercallLog& log);

}  // namespace gpremap
