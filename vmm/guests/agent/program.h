// Loads a program of the user's for the agent to run (guest/runtime/program.h).
#pragma once

#include <cstdint>
#include <string>

#include "vmm/memory/caller.h"

namespace gpremap {

// `path` is a static ELF file for x86-64 that can be loaded anywhere (gcc -static-pie). Puts it into the place that
// `memory`, the guest's own, has for `vcpu`'s program, and returns its entry point. Throws ConfigError for a file that
// is something else, with what was expected.
uint64_t load_program(CallerMemory& memory, unsigned vcpu, const std::string& path);

}  // namespace gpremap
