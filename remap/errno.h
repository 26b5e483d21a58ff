// The errors that a guest sees. Numbers are Linux's; UTek's own two have numbers that Linux does not use.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace remap {

enum class Errno : int64_t {
    eperm = 1,
    enoent = 2,
    e2big = 7,
    eagain = 11,
    enomem = 12,
    eacces = 13,
    efault = 14,
    eexist = 17,
    einval = 22,
    erange = 34,
    enosys = 38,
    emcollide = 1001,
    emrange = 1002,
};

// "EINVAL" and so on.
std::string_view name_of(Errno error);
std::optional<Errno> errno_named(std::string_view name);

}  // namespace remap
