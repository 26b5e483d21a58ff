// A workload as a scenario states it: what a vCPU does while steps run on others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guest/abi/workload.h"
#include "vmm/config/toml_reader.h"

namespace gpremap {

inline constexpr std::pair<std::string_view, gpremap_workload_kind> workload_kind_names[] = {
    {"stream", GPREMAP_STREAM}, {"chase", GPREMAP_CHASE},   {"touch", GPREMAP_TOUCH},
    {"verify", GPREMAP_VERIFY}, {"jitter", GPREMAP_JITTER}, {"program", GPREMAP_PROGRAM}};
inline constexpr std::pair<std::string_view, gpremap_access> access_names[] = {
    {"sequential", GPREMAP_SEQUENTIAL}, {"random", GPREMAP_RANDOM}, {"zipf", GPREMAP_ZIPF}};

std::string_view name_of(gpremap_workload_kind kind);

struct Workload {
    std::string name;
    unsigned vcpu = 0;
    gpremap_workload_kind does = GPREMAP_TOUCH;
    std::string range;  // empty: none. The workload begins when a step has made it.
    gpremap_access access = GPREMAP_RANDOM;
    double write = 0;                // share of operations, 0 to 1
    std::optional<double> rate;      // operations a second; without it: as fast as it can
    uint64_t sample_ns = 1'000'000;  // between rows of the series
    uint64_t seed = 1;
    std::string program;                 // path of its ELF file
    std::vector<std::string> arguments;  // program: what its main gets

    TomlPlace place;
    TomlPlace vcpu_place;
    TomlPlace range_place;  // where it is stated
};

// jitter: a gap is one of at least so much.
inline constexpr uint64_t shortest_gap_ns = 10'000;
// jitter: its rows are quanta of at most so much.
inline constexpr uint64_t longest_quantum_ns = 100'000;

// One [[workload]]. The program's path is beside the file that states it, unless it is absolute.
Workload read_workload(const TomlTable& table);

}  // namespace gpremap
