// Native calls out of a fuzzer's bytes.
#pragma once

#include <array>
#include <cstdint>

#include "tests/fuzz/input.h"
#include "tests/model/oracle.h"

namespace fuzz {

inline constexpr uint64_t granule = 4096, base = uint64_t{4} << 30, slots = 16;

inline oracle::Call native_call(Input& input) {
    count_call();
    using oracle::Kind;
    constexpr std::array kinds = {Kind::map,   Kind::unmap,    Kind::move,     Kind::grow,    Kind::shrink,
                                  Kind::alias, Kind::snapshot, Kind::exchange, Kind::protect, Kind::release,
                                  Kind::lock,  Kind::unlock,   Kind::pin,      Kind::unpin,   Kind::seal};
    oracle::Call call{input.one_of(kinds)};
    const bool has_flags = call.kind == Kind::map || call.kind == Kind::move || call.kind == Kind::grow ||
                           call.kind == Kind::alias || call.kind == Kind::snapshot;
    const bool has_prot = call.kind == Kind::map || call.kind == Kind::protect || call.kind == Kind::alias ||
                          call.kind == Kind::snapshot;
    call.at = input.number(base, granule);
    call.to = input.number(base, granule);
    call.len = input.number(0, granule);
    call.new_len = input.number(0, granule);
    if (has_prot) call.prot = input.take<uint8_t>() % 16;
    if (has_flags) call.flags = input.take<uint8_t>() % 128;
    return call;
}

}  // namespace fuzz
