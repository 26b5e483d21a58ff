// Who makes the calls of clients. The host can, and waits for no vCPU. A Linux guest has to make them itself: its
// processes hold entries for what a call takes away, and it is the guest's kernel that drops them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/memory/caller.h"

namespace gpremap {

struct MadeCalls {
    int64_t result = 0;                // or -errno
    std::optional<CallRecord> record;  // nothing where no call was made
    std::vector<int64_t> results;      // of each call of a batch that was made
};

// What the agent reports of a call: -EFAULT where it says that it did not get through it.
MadeCalls made_by_guest(const Performed& performed);

// One call, which is no batch.
using MakeCall = std::function<MadeCalls(const abi::BatchCall&)>;
// All or none of them.
using MakeBatch = std::function<MadeCalls(std::span<const abi::BatchCall>)>;

class HostCaller {
  public:
    // Throws what ends the run.
    using Call = std::function<Called(CallerMemory&, abi::Call, const std::array<uint64_t, 6>&)>;
    explicit HostCaller(Call call) : call_(std::move(call)) {}

    MadeCalls call(const abi::BatchCall& call) const;
    MadeCalls batch(std::span<const abi::BatchCall> calls) const;

  private:
    MadeCalls make(CallerMemory& memory, abi::Call number, const std::array<uint64_t, 6>& args) const;
    Call call_;
};

class GuestCaller {
  public:
    // `memory` is the guest's own; `perform` has the agent on `vcpu` do a step, and throws GuestDied. Without a vCPU that
    // is free for it, calls throw CallError.
    GuestCaller(CallerMemory& memory, Orders::Perform perform, std::optional<unsigned> vcpu)
        : memory_(memory), perform_(std::move(perform)), vcpu_(vcpu) {}

    MadeCalls call(const abi::BatchCall& call) const;
    MadeCalls batch(std::span<const abi::BatchCall> calls) const;

  private:
    unsigned vcpu() const;
    CallerMemory& memory_;
    Orders::Perform perform_;
    std::optional<unsigned> vcpu_;
};

}  // namespace gpremap
