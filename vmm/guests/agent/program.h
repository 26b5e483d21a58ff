// Loads a program of the user's for the agent to run (guest/runtime/program.h).
#pragma once

#include <cstdint>
#include <string>

#include "vmm/memory/caller.h"

namespace gpremap {

// What such a program has to be: code_<architecture>.cpp.
struct ProgramFormat {
    uint16_t machine;     // of its header
    uint32_t relocation;  // the only one that a program which is whole has
    const char* name;
};
extern const ProgramFormat program_format;

// `path` is a static ELF file for this processor that can be loaded anywhere (gcc -static-pie). Puts it into the place that
// `memory`, the guest's own, has for `vcpu`'s program, and returns its entry point. Throws ConfigError for a file that
// is something else, with what was expected.
uint64_t load_program(CallerMemory& memory, unsigned vcpu, const std::string& path);

}  // namespace gpremap
