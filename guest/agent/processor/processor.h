// What the agent has of its processor. The only place of the agent that asks which it is.
#pragma once

#ifdef __aarch64__
#include "guest/agent/processor/aarch64.h"
#else
#include "guest/agent/processor/x86_64.h"
#endif
