// The names of errors as case files and scenarios write them: those of <errno.h>, and UTek's own two.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gpremap {

// "ENOMEM" -> ENOMEM, "EMCOLLIDE" -> GPREMAP_EMCOLLIDE.
std::optional<int64_t> errno_value(std::string_view name);

// ENOMEM -> "ENOMEM"; a number without a name as "errno 4000".
std::string errno_name(int64_t value);

}  // namespace gpremap
