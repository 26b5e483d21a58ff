// What each kind of thread may ask of the kernel.
#pragma once

#include <string_view>

#include "vmm/base/threads.h"
#include "vmm/sandbox/filter.h"

namespace gpremap {

constexpr ThreadKind all_thread_kinds[] = {
    ThreadKind::main,          ThreadKind::maker,        ThreadKind::vcpu,       ThreadKind::rings,
    ThreadKind::pool,          ThreadKind::copier,       ThreadKind::track,      ThreadKind::sampler,
    ThreadKind::deadline,      ThreadKind::keyboard,     ThreadKind::signals,    ThreadKind::control,
    ThreadKind::control_calls, ThreadKind::control_jobs, ThreadKind::page_server};

// As the report of a violation and docs/security.md call it: "vcpu".
const char* name_of(ThreadKind kind);

// Throws std::system_error.
FilterProgram filter_for(ThreadKind kind);

}  // namespace gpremap
