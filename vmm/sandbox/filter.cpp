#include "vmm/sandbox/filter.h"

#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"

namespace gpremap {
namespace {

// libseccomp returns -errno.
void check(int result, const char* what) {
    if (result < 0) throw std::system_error(-result, std::generic_category(), what);
}

}  // namespace

CallList::CallList() : filter_(seccomp_init(SCMP_ACT_TRAP)) {
    if (!filter_) throw std::system_error(ENOMEM, std::generic_category(), "seccomp_init");
    // Also what is called as 32-bit programs do, so that it is said.
    check(seccomp_attr_set(filter_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRAP), "seccomp_attr_set");
    constexpr unsigned by_tree = 2;  // and not one after another
    check(seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, by_tree), "seccomp_attr_set");
}

void CallList::allow(std::initializer_list<int> calls) {
    for (const int call : calls)
        check(seccomp_rule_add(filter_.get(), SCMP_ACT_ALLOW, call, 0), "seccomp_rule_add");
}

void CallList::allow_if(int call, std::initializer_list<scmp_arg_cmp> conditions) {
    check(seccomp_rule_add_array(filter_.get(), SCMP_ACT_ALLOW, call,
                                 static_cast<unsigned>(conditions.size()), conditions.begin()),
          "seccomp_rule_add_array");
}

void CallList::is_missing(int call) {
    check(seccomp_rule_add(filter_.get(), SCMP_ACT_ERRNO(ENOSYS), call, 0), "seccomp_rule_add");
}

FilterProgram CallList::program() const {
    const Descriptor file(memfd_create("filter", MFD_CLOEXEC));
    if (!file.valid()) throw_errno("memfd_create");
    check(seccomp_export_bpf(filter_.get(), file.get()), "seccomp_export_bpf");
    struct stat status = {};
    if (fstat(file.get(), &status) != 0) throw_errno("fstat");
    FilterProgram program(static_cast<size_t>(status.st_size) / sizeof(sock_filter));
    if (pread(file.get(), program.data(), static_cast<size_t>(status.st_size), 0) != status.st_size)
        throw_errno("reading a filter");
    return program;
}

int install(const FilterProgram& program) {
    const sock_fprog all = {static_cast<unsigned short>(program.size()),
                            const_cast<sock_filter*>(program.data())};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) != 0 ? errno : 0;
}

}  // namespace gpremap
