// What all turns of a step have come to: those of a `repeat`, of a schedule, or the only one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/base/spread.h"
#include "vmm/scenario/result.h"

namespace gpremap {

// Of the turns that have done what they were to.
struct StepStatistics {
    std::string call;
    std::string arguments;
    size_t n = 0;
    // Nothing for a step that makes no calls, or has the guest do nothing.
    std::optional<Spread<uint64_t>> call_ns, guest_ns;
};

class Turns {
  public:
    void add(const StepResult& turn);

    size_t all() const { return n_ + failed_ + skipped_; }
    size_t failed() const { return failed_; }
    size_t skipped() const { return skipped_; }
    const StepResult& first() const { return first_; }
    StepStatistics statistics() const;

  private:
    StepResult first_;
    size_t n_ = 0, failed_ = 0, skipped_ = 0;
    std::vector<uint64_t> call_ns_, guest_ns_;
};

// One for each step that has made calls or has had the guest work, in the order of the file.
std::vector<StepStatistics> statistics_of(const std::vector<StepResult>& steps);

JsonObject json_of(const StepStatistics& statistics);

}  // namespace gpremap
