/* What the run-time has of its processor. The only place in guest/runtime that asks which it is. */
#ifndef GPREMAP_GUEST_RUNTIME_ARCHITECTURE_H
#define GPREMAP_GUEST_RUNTIME_ARCHITECTURE_H

#ifdef __aarch64__
#include "guest/runtime/aarch64.h"
#else
#include "guest/runtime/x86_64.h"
#endif

#endif
