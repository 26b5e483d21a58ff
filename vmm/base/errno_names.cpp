#include "vmm/base/errno_names.h"

#include <string.h>

#include "remap/errno.h"

namespace gpremap {

namespace {
constexpr int highest_errno = 133;  // EHWPOISON, the last of Linux
}

std::optional<int64_t> errno_value(std::string_view name) {
    if (const auto known = remap::errno_named(name)) return static_cast<int64_t>(*known);
    for (int value = 1; value <= highest_errno; ++value) {
        const char* known = strerrorname_np(value);
        if (known != nullptr && name == known) return value;
    }
    return std::nullopt;
}

std::string errno_name(int64_t value) {
    if (value == static_cast<int64_t>(remap::Errno::emcollide) ||
        value == static_cast<int64_t>(remap::Errno::emrange))
        return std::string(remap::name_of(static_cast<remap::Errno>(value)));
    const bool in_table = value > 0 && value <= highest_errno;
    const char* known = in_table ? strerrorname_np(static_cast<int>(value)) : nullptr;
    return known != nullptr ? known : "errno " + std::to_string(value);
}

}  // namespace gpremap
