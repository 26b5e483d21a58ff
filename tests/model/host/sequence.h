// A sequence of calls made in a child process, so that neither a crash nor what is left mapped reaches the
// next one.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/model/host/lockstep.h"

namespace host_oracle {

// More than any sequence locks, and no more than Linux allows by default.
inline constexpr uint64_t ample_locks = 2048;

using Sequence = std::vector<LinuxCall>;

struct Setup {
    remap::FreshMemory fresh = remap::FreshMemory::anon;
    Lockstep::Several several = Lockstep::Several::moved;
    uint64_t lock_limit = ample_locks;  // pages
};

// What a run of many sequences counted.
struct Tally {
    uint64_t calls = 0;
    uint64_t sequences = 0;
    uint64_t half_done = 0;
    uint64_t full = 0;
    std::map<std::string, uint64_t> left_out;
};

struct Found {
    uint64_t seed = 0;  // of the sequence
    Setup setup;
    Sequence sequence;
    std::string difference;
};

// Sequences with the seeds from `seed` on, until `calls` calls have been made or the two differ.
std::optional<Found> run(uint64_t seed, uint64_t calls, Lockstep::Several several, Tally& tally);

// What differs when these calls are made; empty where nothing does. A crash is a difference too.
std::string replay(const Sequence& sequence, const Setup& setup);

// The shortest sequence with the plainest arguments that still differs.
Found shrunk(Found found);

// As a case file has it, as far as one can express it; the rest is comment.
std::string as_case(const Found& found);

}  // namespace host_oracle
