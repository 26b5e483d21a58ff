// A run as its page shows it: what a result says, or as much of it as a journal does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/results/reading.h"

namespace gpremap {

// A step that has ended. Times are ns since the first step began.
struct ShownStep {
    std::string call;
    std::string arguments;           // "range=heap to=17179869184"
    std::string range;               // that it makes, or is about; may be empty
    std::optional<uint64_t> result;  // what a call returned that is no error
    double begin_ns = 0;
    double end_ns = 0;
    double call_ns = 0;  // 0: it made no call
    double guest_ns = 0;
    double bytes = 0;
    bool ok = true;
    std::string problem;  // where not ok
    bool huge_kept = true;
    double copies = 0;
    double faults = 0;
    double tlb_flushes = 0;
    double host_returned = 0;  // bytes; 0: none, or it is no such call
};

// Lists of one length, as `series[]` of a result.
struct ShownSeries {
    std::string workload;
    unsigned vcpu = 0;
    std::vector<double> t_ns, ops, bytes, max_ns;

    // Whether bytes tell what was done, else operations.
    bool counts_bytes() const;
    const std::vector<double>& amounts() const { return counts_bytes() ? bytes : ops; }
};

inline constexpr const char* before_calls = "before the calls";

struct ShownMap {
    std::string when;  // before_calls, "at the end"
    JsonObject extents = JsonObject::array();
};

struct ShownRun {
    std::string name;                        // that tells it from the others of the page
    JsonObject head = JsonObject::object();  // the keys of a result that a journal begins with, too
    std::vector<ShownStep> steps;
    std::vector<ShownSeries> series;
    std::vector<ShownMap> maps;                    // in the order of time
    JsonObject workloads = JsonObject::array();    // a journal has none
    JsonObject comparisons = JsonObject::array();  // of moves with copies
    std::vector<std::string> warnings;
    std::string cut_short;              // why it did not come to its end; empty where it did
    std::vector<MeasuredRun> measured;  // what `diff` compares; of benches and merged results, all there is

    // Whether it is one run, and not the measurements of many.
    bool is_single() const { return head.contains("vm"); }
};

}  // namespace gpremap
