// What came of a scenario: a table on standard output, row by row as the steps are done, and JSON.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/counts.h"
#include "vmm/host.h"
#include "vmm/json_file.h"
#include "vmm/machine.h"
#include "vmm/stage2_dump.h"

namespace gpremap {

struct StepResult {
    size_t index = 0;
    std::string call;                        // the step's verb
    std::string summary;                     // its arguments as written
    JsonObject args = JsonObject::object();  // as passed: bytes and addresses

    bool ok = true;
    std::string problem;               // where not ok: what was expected, what came instead
    std::string outcome;               // in words, for the table
    std::optional<uint64_t> result;    // what a call returned that is no error
    std::optional<std::string> error;  // the name of the errno
    std::optional<bool> moved;

    uint64_t bytes = 0;  // that the step is about
    uint64_t guest_ns = 0;
    std::optional<CallRecord> record;       // of calls
    KvmCounts kvm;                          // of the whole VM
    std::optional<uint64_t> host_returned;  // bytes that the host has back, measured there
    std::vector<abi::ExtentInfo> extents;   // of a query
};

struct RunResult {
    HostFacts host;
    MachineConfig machine;
    std::vector<StepResult> steps;
    std::vector<MapEntry> map;
    std::optional<Stage2Dump> stage2;  // where it was asked for
    std::string died;                  // the guest's last words; empty where it lived

    size_t passed() const;
    size_t failed() const;
};

enum class Colour { none, ansi };

// The table, 110 columns wide.
class StepTable {
  public:
    StepTable(std::ostream& out, Colour colour) : out_(out), colour_(colour) {}

    void print(const StepResult& step);
    void print_map(const std::vector<MapEntry>& map);

  private:
    std::ostream& out_;
    Colour colour_;
    bool has_header_ = false;
};

// "9 passed, 0 failed"; then, for each size of which there are both, the median move of the run beside each
// of the guest's own copies. Both times are the guest's.
void print_summary(std::ostream& out, const RunResult& run, Colour colour);

// Schema gpremap.run/1.
JsonObject json_of(const RunResult& run);

// An address as people say it: "16 GiB" where that is exact, else hexadecimal.
std::string format_address(uint64_t address);

}  // namespace gpremap
