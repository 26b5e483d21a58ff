// What the agent has of its processor. The only place in guest/agent that asks which it is.
#pragma once

#ifdef __aarch64__
#include "guest/agent/aarch64.h"
#else
#include "guest/agent/x86_64.h"
#endif
