// Code that tests have the agent execute, and what its faults look like. The only place in tests/vmm that asks which
// processor it is; what tests one's alone is in files with its name.
#pragma once

#ifdef __aarch64__
#include "tests/vmm/code_aarch64.h"
#else
#include "tests/vmm/code_x86_64.h"
#endif
