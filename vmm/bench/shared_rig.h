// A rig whose second vCPU, where it has one, has memory of its own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "vmm/bench/neighbour.h"
#include "vmm/bench/rig.h"

namespace gpremap {

class SharedRig {
  public:
    // `limit`: bytes of the ranges that calls are about.
    SharedRig(const BenchSetting& setting, uint64_t limit) : rig_(setting, limit + accessed_by(setting)) {
        if (setting.vcpus < 2) return;
        rig_.map(elsewhere, accessed_by(setting));
        rig_.write(elsewhere, accessed);
        neighbour_.emplace(rig_, setting.neighbour, std::array{elsewhere, elsewhere}, accessed);
    }

    Rig& rig() { return rig_; }
    // The ns that `call` returns, with the second vCPU at work.
    template <typename Call>
    uint64_t beside(Call call) {
        if (!neighbour_) return call();
        uint64_t ns = 0;
        neighbour_->longest_gap([&] { ns = call(); });
        return ns;
    }
    // Of two vCPUs.
    template <typename Call>
    uint64_t longest_gap(Call call) {
        return neighbour_.value().longest_gap(call);
    }

  private:
    static constexpr uint64_t accessed = 2ull << 20;  // bytes, by the second vCPU
    static constexpr uint64_t elsewhere = Rig::place(3);
    static uint64_t accessed_by(const BenchSetting& setting) { return std::max(accessed, setting.granule); }

    Rig rig_;
    std::optional<Neighbour> neighbour_;
};

}  // namespace gpremap
