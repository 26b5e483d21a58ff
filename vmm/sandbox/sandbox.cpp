#include "vmm/sandbox/sandbox.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <utility>

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

}  // namespace

void confine_threads() {
    if (!filters.empty()) return;
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
