// Confinement: each thread may ask the kernel only for what its kind needs (docs/security.md), so that a guest that has
// taken over a thread cannot start programs, open sockets, or make memory code.
#pragma once

#include "vmm/base/threads.h"

namespace gpremap {

// From now on, every thread that begins is confined by its kind, and with it what it makes. The calling one is not yet.
// Before there are threads that are to be. Throws HostLacks where the kernel has no such filters.
void confine_threads();

// The calling thread, from now on; where confine_threads() was not called, and a second time, nothing.
void confine_this_thread(ThreadKind kind);

}  // namespace gpremap
