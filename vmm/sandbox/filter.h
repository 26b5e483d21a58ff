// A list of system calls as the kernel takes it: a program of its BPF.
#pragma once

#include <linux/filter.h>
#include <seccomp.h>

#include <initializer_list>
#include <memory>
#include <vector>

namespace gpremap {

using FilterProgram = std::vector<sock_filter>;

// What is not on it is not done, and ends the process by violation.h. All throw std::system_error.
class CallList {
  public:
    CallList();

    // With whatever arguments. Once or more often.
    void allow(std::initializer_list<int> calls);
    // With arguments that are as all of `conditions` say; libseccomp's SCMP_A0() and its like.
    void allow_if(int call, std::initializer_list<scmp_arg_cmp> conditions);
    // As if the kernel did not have it.
    void is_missing(int call);

    FilterProgram program() const;

  private:
    struct Release {
        void operator()(void* filter) const { seccomp_release(filter); }
    };
    std::unique_ptr<void, Release> filter_;
};

// For the calling thread, and those that it makes, until they end. Returns 0 or the errno.
int install(const FilterProgram& program);

}  // namespace gpremap
