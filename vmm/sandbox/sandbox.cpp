#include "vmm/sandbox/sandbox.h"

#include <linux/seccomp.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/sandbox/filter.h"
#include "vmm/sandbox/lists.h"
#include "vmm/sandbox/violation.h"

namespace gpremap {
namespace {

// Made once: a thread only installs its own. Empty: nobody is confined.
std::map<ThreadKind, FilterProgram> filters;

bool kernel_has_filters() {
    const uint32_t action = SECCOMP_RET_TRAP;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

// It would go on with all that it could ask for.
[[noreturn]] void end_unconfined(ThreadKind kind, int error) {
    std::fprintf(stderr, "gpremap: a thread (%s) cannot be confined: %s; --no-sandbox runs without\n",
                 name_of(kind), std::strerror(error));
    constexpr int host_lacks = 3;
    _exit(host_lacks);
}

void confine(ThreadKind kind, const std::string& name) {
    prepare_to_report(kind, name);
    if (const int error = install(filters.at(kind))) end_unconfined(kind, error);
}

// The allocator asks, the first time that it shrinks the heap of a thread, whether the host overcommits memory.
void look_at_what_the_allocator_needs() {
    constexpr std::size_t chunk = 64 << 10, chunks = 16;
    std::thread([] {
        std::vector<std::unique_ptr<char[]>> all;
        for (std::size_t i = 0; i < chunks; i++) all.push_back(std::make_unique<char[]>(chunk));
    }).join();
}

// The log asks the first time for the time zone, which is a file, and whether it writes to a terminal.
void look_at_what_the_log_needs() {
    tzset();
    spdlog::default_logger_raw();
}

}  // namespace

void confine_threads() {
    if (!filters.empty()) return;
    look_at_what_the_allocator_needs();
    look_at_what_the_log_needs();
    if (!kernel_has_filters())
        throw HostLacks(
            "this kernel has no filters of system calls (CONFIG_SECCOMP_FILTER), which confine the threads "
            "of a VM: "
            "--no-sandbox runs without them");
    report_violations();
    for (const ThreadKind kind : all_thread_kinds) filters[kind] = filter_for(kind);
    confine_threads_with(confine);
}

void confine_this_thread(ThreadKind kind) {
    thread_local bool is_confined = false;
    if (!filters.empty() && !std::exchange(is_confined, true)) confine(kind, name_of(kind));
}

}  // namespace gpremap
