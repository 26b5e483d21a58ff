// What lives beside the steps, and goes along with what their calls do to memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "guest/abi/agent.h"
#include "vmm/calls/call.h"
#include "vmm/calls/names.h"

namespace gpremap {

// Called by the thread of the track that makes the call; tracks call at the same time.
class Companions {
  public:
    virtual ~Companions() = default;

    // The first step is about to begin: times count from `zero`.
    virtual void begin(std::chrono::steady_clock::time_point zero) = 0;

    // Right before `calls` are made as one, on `vcpu`: a batch, or a single call. Operands have their values in
    // `names`. May add to `step`, which the guest is about to be given.
    virtual void before(std::span<const CallAction> calls, const Names& names, unsigned vcpu,
                        abi::Step& step) = 0;
    // They have returned, and failed or not; `names` are those from now on. Does not come where the guest died.
    virtual void after(std::span<const CallAction> calls, const Names& names) = 0;
    // Operations that a workload has done so far.
    virtual uint64_t ops(const std::string& workload) = 0;
};

}  // namespace gpremap
