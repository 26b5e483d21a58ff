// What the other vCPUs do while a call changes memory: whether they have to stand still, and whether they had better.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "guest/abi/agent.h"
#include "remap/plan.h"
#include "vmm/memory/caller.h"

namespace gpremap {

class Vm;

// Why no vCPU may run while the changes are made; nothing where they may.
const char* reason_to_pause(const std::vector<remap::Change>& changes, const remap::Space& before,
                            Mechanism mechanism);

// Why others had better run on, however often their TLBs are flushed: a pause would last as long as this.
const char* reason_to_run_on(const std::vector<remap::Change>& changes);

class OtherVcpusKeeper {
  public:
    OtherVcpusKeeper(Vm& vm, Pause pause) : vm_(vm), pause_(pause) {}

    // As above; where there is neither, it is a matter of what takes longer. `beside.flushes` is given, the rest is filled
    // in. What is returned keeps them out until it goes.
    std::optional<PausedVcpus> keep_out(unsigned vcpu, const char* need, const char* run_on,
                                        BesideCall& beside);

  private:
    std::optional<PauseCosts> costs_of(unsigned vcpu);

    Vm& vm_;
    const Pause pause_;
    std::array<std::optional<PauseCosts>, abi::max_vcpus + 1>
        costs_;  // of so many others that run, once measured
};

}  // namespace gpremap
