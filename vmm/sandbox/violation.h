// What becomes of a system call that is not on the list of its thread: it is not made, and the process ends after it has
// said which thread and which call it was.
#pragma once

#include <string>

#include "vmm/base/threads.h"

namespace gpremap {

// Before any thread is confined. Throws std::system_error.
void report_violations();

// Of the calling thread, before it is confined: how such a report is to call it.
void prepare_to_report(ThreadKind kind, const std::string& name);

}  // namespace gpremap
