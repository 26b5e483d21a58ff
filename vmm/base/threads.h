// What a thread of this program says of itself before it does anything else.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace gpremap {

// What a thread is for; docs/security.md lists what each may ask of the kernel.
enum class ThreadKind {
    main,           // of a run, once its VM is made
    maker,          // the main one of what makes VMs in turn: cases, bench
    vcpu,           // runs a vCPU, and makes the calls of its guest
    rings,          // makes the calls that come through rings
    pool,           // zeroes what the warm pool gets back
    copier,         // copies what snapshots have put off
    track,          // steps beside those of the main thread
    sampler,        // reads what workloads have measured
    deadline,       // waits
    keyboard,       // reads what is typed for a guest
    signals,        // waits for Ctrl-C and its like
    control,        // the control socket: its clients
    control_calls,  // what they ask of the machine
    control_jobs,   // what they ask for that takes long
    page_server,    // serves the page of a run that is watched
};

// The first thing that a thread does. Its name, of which Linux keeps 15 bytes, is for those who look at it with perf or
// taskset.
void begin_thread(ThreadKind kind, const std::string& name);

// A thread that takes no signals, not even before its begin_thread(): those are for the vCPUs.
std::thread start_without_signals(std::function<void()> work);

// What begin_thread() does besides from now on; for vmm/sandbox. Before there are threads.
using Confine = void (*)(ThreadKind kind, const std::string& name);
void confine_threads_with(Confine confine);

}  // namespace gpremap
