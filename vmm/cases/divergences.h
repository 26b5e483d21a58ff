// The places in which our Linux calls differ from Linux, all of which lose data or stop half-way there.
// This is the only list of them in the code: what runs the same calls on the host and on a VM asks it,
// before each call, whether the two are meant to differ from here on.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace gpremap {

// One mapping of a process, as /proc/PID/smaps has it; or an extent of a VM.
struct LinuxMapping {
    uint64_t begin;
    uint64_t end;
    bool shared;
    bool sealed;
    bool huge;  // of huge granules
};

// The arguments of one mremap(2), in bytes, as passed.
struct LinuxRemap {
    uint64_t old;
    uint64_t old_size;
    uint64_t new_size;
    uint64_t flags;
    uint64_t to;
};

struct Divergence {
    std::string_view id;
    std::string_view on_linux;
    std::string_view here;
    bool (*applies)(const LinuxRemap& call, std::span<const LinuxMapping> before);
};

// All of them, in the order of docs/semantics.md.
std::span<const Divergence> divergences();

// The first that makes `call`, made on `before` (sorted by address), mean something else on Linux;
// nullptr where both do the same.
const Divergence* divergence_of(const LinuxRemap& call, std::span<const LinuxMapping> before);

}  // namespace gpremap
