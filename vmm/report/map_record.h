// What is mapped, noted while a run goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "vmm/memory/remapper.h"
#include "vmm/scenario/result.h"

namespace gpremap {

// To be told of each step before it is done and after it. Before the first call that changes a mapping, and then
// after calls, but once a second at most, it asks what is mapped: that takes the remapper's lock for microseconds, and
// milliseconds where there are ten thousands of extents.
class MapRecord {
  public:
    using Map = std::vector<MapEntry>;

    // `noted` is told each map, and when it was so: ns since the first step began.
    MapRecord(std::function<Map()> map, std::function<void(const Map&, uint64_t t_ns)> noted);

    void before(const StepResult& step);
    void after(const StepResult& step);

    // Before the first call that changes a mapping; nothing until then.
    const std::optional<Map>& first() const { return first_; }

  private:
    using Clock = std::chrono::steady_clock;

    std::function<Map()> map_;
    std::function<void(const Map&, uint64_t)> noted_;
    std::optional<Map> first_;
    uint64_t last_end_ns_ = 0;  // of a step
    std::optional<Clock::time_point> last_;
};

}  // namespace gpremap
