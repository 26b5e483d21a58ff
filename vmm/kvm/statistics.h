// KVM's own statistics of a VM or a vCPU, read from the descriptor of KVM_GET_STATS_FD.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vmm/kvm/kvm.h"

namespace gpremap {

class Statistics {
  public:
    // `owner` is a VM's or a vCPU's descriptor; `names` are the values that will be asked for.
    Statistics(const Descriptor& owner, const std::vector<std::string>& names);

    // The current value of names[index]; 0 where this KVM has none of that name.
    uint64_t value(std::size_t index) const;

  private:
    Descriptor fd_;
    std::vector<int64_t> offsets_;  // in the file; -1 where there is no such value
};

}  // namespace gpremap
