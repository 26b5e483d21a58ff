// A vCPU as a thread: what its signal handlers know.
#pragma once

#include "guest/linux/agent/device.h"

namespace gpremap {

struct VcpuState {
    const Device& device;
    unsigned index;
    abi::Mailbox& mailbox;
    uint64_t stack_top;
    uint64_t fault_handler = 0;  // rip, once the image has said so
    bool in_handler = false;     // a fault has been delivered, and is not dealt with
    abi::Fault repeated = {};    // the last whose access was made once more
    unsigned repeats = 0;        // of it
};

// Makes this thread a vCPU: its signals are hypercalls and faults of the image, on a stack of their own.
void take_signals(VcpuState& state);

// Asks for a step until there is one for the image, and does those that a process has to do meanwhile. The result of `next`.
int64_t next_step(VcpuState& state);

}  // namespace gpremap
