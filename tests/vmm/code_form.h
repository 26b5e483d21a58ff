// One form of access, as code that the agent executes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace gpremap::code {

struct Form {
    const char* name;
    std::vector<uint8_t> bytes;        // a function; what it stores is not what memory holds
    std::optional<std::size_t> reads;  // offset of the instruction that is a read there
    std::optional<std::size_t> writes;
    int32_t result;  // of the function: base registers, as the access leaves them when made once
};

// Every byte of the memory that forms access.
inline constexpr uint8_t form_contents = 0x5a;

}  // namespace gpremap::code
