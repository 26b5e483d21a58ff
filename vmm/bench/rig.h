// A machine that a bench measures with; all of this is done by vCPU 0. A call or step that does not succeed
// throws std::runtime_error: there is then nothing to measure.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "vmm/bench/samples.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/machine/machine.h"

namespace gpremap {

class Rig {
  public:
    // Places for ranges, congruent modulo 1 GiB and 8 GiB apart. The aperture ends behind the last.
    static constexpr uint64_t places = 8;
    static constexpr uint64_t distance = 8ull << 30;
    static constexpr uint64_t place(uint64_t index) { return (1 + index) * distance; }

    // `limit`: bytes of guest memory that the bench will have mapped at once.
    Rig(const BenchSetting& setting, uint64_t limit);

    Performed call(abi::Call number, const std::array<uint64_t, 6>& args);
    Performed batch(std::span<const abi::BatchCall> calls);
    // Readable and writable; not touched yet.
    void map(uint64_t at, uint64_t size);
    Performed move(uint64_t from, uint64_t to, uint64_t size);

    // One word of every 4 KiB.
    Performed read(uint64_t at, uint64_t size);
    Performed write(uint64_t at, uint64_t size);
    // The guest's memmove.
    Performed copy(uint64_t from, uint64_t to, uint64_t size);

    Machine& machine() { return machine_; }

  private:
    Performed perform(const abi::Step& step);

    Machine machine_;
    Orders orders_;
};

// Two places between which a range is moved there and back.
class Shuttle {
  public:
    Shuttle(uint64_t here, uint64_t there) : here_(here), there_(there) {}

    uint64_t here() const { return here_; }
    uint64_t there() const { return there_; }
    void arrive() { std::swap(here_, there_); }

  private:
    uint64_t here_;
    uint64_t there_;
};

}  // namespace gpremap
