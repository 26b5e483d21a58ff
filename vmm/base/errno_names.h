// Errors as calls return them, and their names as case files and scenarios write them: those of <errno.h>, and UTek's own two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gpremap {

// A call that returned -1 to -4095 has failed with that errno.
constexpr bool is_error(int64_t returned) {
    return returned < 0 && returned >= -4095;
}

// "ENOMEM" -> ENOMEM, "EMCOLLIDE" -> GPREMAP_EMCOLLIDE.
std::optional<int64_t> errno_value(std::string_view name);

// ENOMEM -> "ENOMEM"; a number without a name as "errno 4000".
std::string errno_name(int64_t value);

}  // namespace gpremap
