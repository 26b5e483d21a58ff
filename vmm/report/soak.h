// A run whose steps are done again and again for a time: what it held after its first round and after its last, and what
// has grown between them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/host/footprint.h"

namespace gpremap {

class Soak {
  public:
    struct Held {
        Footprint process;
        uint64_t slots = 0;  // of the VM
    };

    // Of a run that is to go on for that long, from now.
    explicit Soak(std::chrono::duration<double> longest) : longest_(longest), began_(Clock::now()) {}

    // After each round of so many steps, all of which were as expected where `is_ok`. Returns whether there is to be
    // another one.
    bool add_round(size_t steps, bool is_ok, const Held& held);

    bool is_first_round() const { return rounds_ == 0; }

    // What holds more after the last round than after the first: "descriptors: 12, then 14". Nothing after one round.
    // Memory may be 16 MiB more, and mappings 16: what the C library keeps for its threads.
    std::vector<std::string> grown() const;

    // In words, and as a result has it.
    std::string text() const;
    JsonObject json() const;

  private:
    using Clock = std::chrono::steady_clock;

    std::chrono::duration<double> longest_;
    Clock::time_point began_;
    std::chrono::duration<double> lasted_ = {};  // until the end of the last round
    uint64_t rounds_ = 0, steps_ = 0;
    Held first_, last_;
};

}  // namespace gpremap
