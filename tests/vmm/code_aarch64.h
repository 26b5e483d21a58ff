#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "guest/abi/agent.h"

namespace gpremap::code {

using Bytes = std::vector<uint8_t>;

inline void append(Bytes& bytes, std::initializer_list<uint32_t> words) {
    for (uint32_t word : words)
        for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(word >> shift));
}
inline Bytes of(std::initializer_list<uint32_t> words) {
    Bytes bytes;
    append(bytes, words);
    return bytes;
}

// add w0, w0, #1; ret
inline const Bytes add_one = of({0x11000400, 0xd65f03c0});

// udf #0
inline const Bytes undefined = of({0});
inline constexpr uint32_t undefined_vector = 0;  // class "unknown reason"

// mov x1, #0x1'4000'0000; str x0, [x1]; ret
inline const Bytes store_far = of({0xd2a80001, 0xf2c00021, 0xf9000020, 0xd65f03c0});
inline constexpr uint64_t store_far_to = 0x1'4000'0000, store_far_offset = 8;

// 1: nop; b 1b
inline const Bytes turning = of({0xd503201f, 0x17ffffff});

// mov x<number>, #value, below 2^48
inline void append_constant(Bytes& bytes, uint32_t number, uint64_t value) {
    const auto part = [&](unsigned index) {
        return static_cast<uint32_t>(value >> 16 * index & 0xffff) << 5;
    };
    append(bytes,
           {0xd2800000 | part(0) | number, 0xf2a00000 | part(1) | number, 0xf2c00000 | part(2) | number});
}

// Increments the words at `a`, atomically, and at `b`, by a pair that a remap breaks up, as often as its argument says.
inline Bytes count_both(uint64_t a, uint64_t b) {
    Bytes bytes;
    append_constant(bytes, 1, a);
    append_constant(bytes, 2, b);
    append(bytes, {0xd2800023,    //       mov x3, #1
                   0xf8e30024,    //    1: ldaddal x3, x4, [x1]
                   0xc85f7c45,    //    2: ldxr x5, [x2]
                   0x910004a5,    //       add x5, x5, #1
                   0xc8067c45,    //       stxr w6, x5, [x2]
                   0x35ffffa6,    //       cbnz w6, 2b
                   0x71000400,    //       subs w0, w0, #1
                   0x54ffff41,    //       b.ne 1b
                   0xd65f03c0});  //       ret
    return bytes;
}

// ---- exceptions ----

// Of an access that the agent's tables do not map: a data abort from EL0.
inline constexpr uint32_t vector_of_data = 0x24;
// An instruction abort from EL0 by a permission, at any level.
inline bool is_denied_execution(const abi::Fault& fault) {
    return fault.vector == 0x20 && (fault.error_code & 0x3c) == 0x0c;
}

// Whether a vCPU that cannot even handle an exception shuts down: it goes from one exception to the next.
inline constexpr bool can_shut_down = false;

// ---- the instruction at a fault ----

using Instruction = uint32_t;
// An atomic of LSE.
inline bool is_locked(Instruction word) {
    return (word & 0x3f200c00) == 0x38200000;
}
// Of a pair, with write-back.
inline bool is_of_string(Instruction word) {
    return (word & 0x3a800000) == 0x28800000;
}

}  // namespace gpremap::code
