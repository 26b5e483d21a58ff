#include "vmm/sandbox/lists.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "vmm/sandbox/vcpu_requests.h"

namespace gpremap {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool is_sanitized = true;
#elif defined(__has_feature)
constexpr bool is_sanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer);
#else
constexpr bool is_sanitized = false;
#endif

// Newer than Debian 12's headers.
constexpr uint64_t kvm_pre_fault_memory = 0xc040aed5;  // _IOWR(KVMIO, 0xd5, 64 bytes), Linux 6.11
constexpr uint64_t pagemap_scan = 0xc0606610;          // _IOWR('f', 16, 96 bytes), Linux 6.7

void allow_ioctl(CallList& list, uint64_t request) {
    // The kernel takes 32 bits of it.
    list.allow_if(SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, request)});
}

// ---- groups: what somebody is able to do ----

// To wait, to allocate, to log to what is open, to wake, to end. No memory becomes code.
void allow_to_run(CallList& list) {
    list.allow({SCMP_SYS(futex),           SCMP_SYS(sched_yield),
                SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep),
                SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime),
                SCMP_SYS(gettimeofday),    SCMP_SYS(rt_sigprocmask),
                SCMP_SYS(rt_sigreturn),    SCMP_SYS(getpid),
                SCMP_SYS(gettid),          SCMP_SYS(sched_getaffinity),
                SCMP_SYS(getrandom),       SCMP_SYS(brk),
                SCMP_SYS(mremap),          SCMP_SYS(munmap),
                SCMP_SYS(madvise),         SCMP_SYS(write),
                SCMP_SYS(writev),          SCMP_SYS(exit),
                SCMP_SYS(exit_group)});
    list.allow_if(SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, PR_GET_NAME)});
    list.allow_if(SCMP_SYS(tgkill), {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()))});
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
        list.allow_if(call, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
}

void allow_to_read_files(CallList& list) {
    constexpr uint64_t writes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
    list.allow_if(SCMP_SYS(openat), {SCMP_A2(SCMP_CMP_MASKED_EQ, writes, 0)});
    list.allow({SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(close),
                SCMP_SYS(newfstatat), SCMP_SYS(fstat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
                SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
                SCMP_SYS(getcwd), SCMP_SYS(fcntl), SCMP_SYS(prlimit64), SCMP_SYS(sysinfo), SCMP_SYS(uname)});
}

void allow_to_write_files(CallList& list) {
    list.allow({SCMP_SYS(openat), SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(rename),
                SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
                SCMP_SYS(lstat), SCMP_SYS(stat), SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(umask)});
}

// A call of the guest, from its plan to its end, and what became of guest memory.
void allow_to_remap(CallList& list) {
    list.allow({SCMP_SYS(fallocate), SCMP_SYS(pwrite64), SCMP_SYS(pread64), SCMP_SYS(lseek),
                SCMP_SYS(mincore), SCMP_SYS(newfstatat), SCMP_SYS(fstat)});
    for (const uint64_t request : {uint64_t{KVM_SET_USER_MEMORY_REGION}, kvm_pre_fault_memory, pagemap_scan})
        allow_ioctl(list, request);
}

void allow_to_run_a_vcpu(CallList& list) {
    allow_ioctl(list, KVM_RUN);
    for (const uint64_t request : vcpu_requests()) allow_ioctl(list, request);
    list.allow({SCMP_SYS(rt_sigtimedwait)});
    // Code at a fault, out of its own memory.
    list.allow_if(SCMP_SYS(process_vm_readv), {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(getpid()))});
}

void allow_to_run_a_kernel(CallList& list) {
    for (const uint64_t request : kernel_requests()) allow_ioctl(list, request);
    allow_ioctl(list, KVM_IRQ_LINE);
}

// Threads of this process; clone3 cannot be looked into, and glibc does without.
void allow_to_make_threads(CallList& list) {
    list.is_missing(SCMP_SYS(clone3));
    list.allow_if(SCMP_SYS(clone), {SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)});
    list.allow({SCMP_SYS(set_robust_list), SCMP_SYS(rseq)});
    for (const int option : {PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP})
        list.allow_if(SCMP_SYS(prctl), {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option))});
}

// To tell the thread of the control socket that there is something.
void allow_to_tell(CallList& list) {
    list.allow({SCMP_SYS(epoll_ctl)});
}

void allow_to_serve(CallList& list) {
    list.allow({SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),     SCMP_SYS(epoll_ctl),   SCMP_SYS(poll),
                SCMP_SYS(ppoll),      SCMP_SYS(accept),          SCMP_SYS(accept4),     SCMP_SYS(recvfrom),
                SCMP_SYS(recvmsg),    SCMP_SYS(sendto),          SCMP_SYS(sendmsg),     SCMP_SYS(sendfile),
                SCMP_SYS(shutdown),   SCMP_SYS(getsockname),     SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
                SCMP_SYS(setsockopt), SCMP_SYS(timerfd_settime), SCMP_SYS(read),        SCMP_SYS(close),
                SCMP_SYS(fcntl)});
    allow_ioctl(list, FIONBIO);
}

void allow_to_make_vms(CallList& list) {
    list.allow_if(SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, KVMIO << 8)});
    // A tmpfs of the VM's own, which where this is not root takes a child in a user namespace.
    list.allow({SCMP_SYS(memfd_create), SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount),
                SCMP_SYS(clone), SCMP_SYS(unshare), SCMP_SYS(dup3), SCMP_SYS(eventfd2),
                SCMP_SYS(sched_setscheduler)});
}

// ---- threads: what they are ----

void allow_what_a_track_does(CallList& list) {
    allow_to_remap(list);
    allow_to_read_files(list);
    allow_to_make_threads(list);  // of deadlines
    allow_to_tell(list);
    allow_ioctl(list, KVM_IRQ_LINE);  // a kernel is told of a step
}

// It makes all the others that are to come, which cannot do what it could not; and it concludes.
void allow_what_the_main_thread_does(CallList& list) {
    allow_what_a_track_does(list);
    allow_to_write_files(list);
    list.allow({SCMP_SYS(wait4), SCMP_SYS(sched_setaffinity), SCMP_SYS(getrusage), SCMP_SYS(poll),
                SCMP_SYS(ppoll), SCMP_SYS(shutdown), SCMP_SYS(geteuid), SCMP_SYS(getegid), SCMP_SYS(getuid),
                SCMP_SYS(getgid)});
    // That of violations stays.
    list.allow_if(SCMP_SYS(rt_sigaction), {SCMP_A0(SCMP_CMP_NE, SIGSYS)});
    for (const uint64_t request : std::array<uint64_t, 3>{TCGETS, TCSETS, TIOCGWINSZ})
        allow_ioctl(list, request);
    allow_ioctl(list, KVM_GET_TSC_KHZ);
}

// The runtime of a sanitizer reads maps, makes a thread, has stacks of its own, asks by a pipe whether memory can be read, and
// looks for leaks with ptrace.
void allow_what_sanitizers_do(CallList& list) {
    allow_to_read_files(list);
    allow_to_make_threads(list);
    list.allow({SCMP_SYS(sigaltstack), SCMP_SYS(prctl), SCMP_SYS(clone), SCMP_SYS(ptrace), SCMP_SYS(wait4),
                SCMP_SYS(rt_sigaction), SCMP_SYS(getppid), SCMP_SYS(kill), SCMP_SYS(getuid),
                SCMP_SYS(pipe2)});
}

void allow_what_it_does(ThreadKind kind, CallList& list) {
    switch (kind) {
        case ThreadKind::maker:
            allow_to_make_vms(list);
            allow_to_run_a_vcpu(list);
            [[fallthrough]];
        case ThreadKind::main:
            return allow_what_the_main_thread_does(list);
        case ThreadKind::track:
            return allow_what_a_track_does(list);
        case ThreadKind::vcpu:
            allow_to_run_a_vcpu(list);
            allow_to_run_a_kernel(list);
            [[fallthrough]];
        case ThreadKind::rings:
        case ThreadKind::pool:
        case ThreadKind::copier:
            return allow_to_remap(list);
        case ThreadKind::sampler:
            return allow_to_tell(list);
        case ThreadKind::deadline:
            return;
        case ThreadKind::keyboard:
            allow_ioctl(list, KVM_IRQ_LINE);
            [[fallthrough]];
        case ThreadKind::signals:
            return list.allow({SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(read)});
        case ThreadKind::control_calls:  // a checkpoint is a file
            allow_to_write_files(list);
            [[fallthrough]];
        case ThreadKind::control_jobs:
            return allow_what_a_track_does(list);
        case ThreadKind::page_server:
            allow_to_read_files(list);
            [[fallthrough]];
        case ThreadKind::control:
            return allow_to_serve(list);
    }
}

}  // namespace

const char* name_of(ThreadKind kind) {
    constexpr std::pair<ThreadKind, const char*> names[] = {{ThreadKind::main, "main"},
                                                            {ThreadKind::maker, "maker"},
                                                            {ThreadKind::vcpu, "vcpu"},
                                                            {ThreadKind::rings, "rings"},
                                                            {ThreadKind::pool, "pool"},
                                                            {ThreadKind::copier, "copier"},
                                                            {ThreadKind::track, "track"},
                                                            {ThreadKind::sampler, "sampler"},
                                                            {ThreadKind::deadline, "deadline"},
                                                            {ThreadKind::keyboard, "keyboard"},
                                                            {ThreadKind::signals, "signals"},
                                                            {ThreadKind::control, "control"},
                                                            {ThreadKind::control_calls, "control-calls"},
                                                            {ThreadKind::control_jobs, "control-jobs"},
                                                            {ThreadKind::page_server, "page"}};
    for (const auto& [each, name] : names)
        if (each == kind) return name;
    return "unknown";
}

FilterProgram filter_for(ThreadKind kind) {
    CallList list;
    allow_to_run(list);
    allow_what_it_does(kind, list);
    if constexpr (is_sanitized) allow_what_sanitizers_do(list);
    return list.program();
}

}  // namespace gpremap
