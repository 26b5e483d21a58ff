// A run as it goes on, on standard error, while that is a terminal:
//
//     [#####...............] 3/12 resize heap 320 MiB
//     stream    6.21 GB/s  longest 1.20 ms  @@@@@@+-@@@@@@
//     map       320 MiB in 2 ranges  [MMMMMMMMMMMM.k]  M 2 MiB pages, k 4 KiB
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "vmm/base/progress.h"
#include "vmm/memory/remapper.h"
#include "vmm/workloads/result.h"

namespace gpremap {

// Any thread may call. What is drawn goes away for whoever prints below it, with clear() or advance(), and comes back with
// the next step.
class LiveView {
  public:
    LiveView(size_t steps, ShowProgress show) : progress_(steps, show) {}

    // A step begins.
    void begin(const std::string& doing);
    // It has ended.
    void advance();
    void clear();
    // New rows of a workload's series.
    void add(const WorkloadSeries& rows);
    void add(const std::vector<MapEntry>& map);

  private:
    using Clock = std::chrono::steady_clock;

    // What a workload does: a rate for each part of a second, the last of them yet to be filled.
    struct Lately {
        std::string workload;
        bool counts_bytes = false;
        uint64_t begin_ns = 0, end_ns = 0;  // of the last part
        uint64_t amount = 0;                // in it
        uint64_t longest_ns = 0;            // of all
        std::vector<double> rates;
    };

    Lately& of(const WorkloadSeries& rows);
    static void count(Lately& lately, const WorkloadSeries& rows);
    static std::string line_of(const Lately& lately);
    void draw();
    void draw_again();

    std::mutex mutex_;
    Progress progress_;
    std::string doing_;
    bool is_drawn_ = false;
    Clock::time_point last_drawn_;
    std::vector<Lately> workloads_;
    std::string map_line_;
};

}  // namespace gpremap
