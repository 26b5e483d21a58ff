#include "remap/errno.h"

#include <array>
#include <utility>

namespace remap {
namespace {

constexpr std::array<std::pair<Errno, std::string_view>, 13> names{{
    {Errno::eperm, "EPERM"},
    {Errno::enoent, "ENOENT"},
    {Errno::e2big, "E2BIG"},
    {Errno::eagain, "EAGAIN"},
    {Errno::enomem, "ENOMEM"},
    {Errno::eacces, "EACCES"},
    {Errno::efault, "EFAULT"},
    {Errno::eexist, "EEXIST"},
    {Errno::einval, "EINVAL"},
    {Errno::erange, "ERANGE"},
    {Errno::enosys, "ENOSYS"},
    {Errno::emcollide, "EMCOLLIDE"},
    {Errno::emrange, "EMRANGE"},
}};

}  // namespace

std::string_view name_of(Errno error) {
    for (const auto& [value, name] : names)
        if (value == error) return name;
    return "unknown error";
}

std::optional<Errno> errno_named(std::string_view name) {
    for (const auto& [value, known] : names)
        if (known == name) return value;
    return std::nullopt;
}

}  // namespace remap
