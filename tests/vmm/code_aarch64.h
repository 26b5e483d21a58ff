#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "guest/abi/agent.h"
#include "tests/vmm/code_form.h"

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

// ---- every form of load and store ----

// About [x1], with x3 = x6 = x7 = d0 = 1, x4 and x5 as memory is, and x8 ... x10 free.
struct Words {
    const char* name;
    int32_t ahead;                // of the place: where x1 begins
    int32_t moves;                // what it is moved by
    std::vector<uint32_t> read;   // the first is the access
    std::vector<uint32_t> write;  // likewise; of one that reads and writes, all
};
inline const Words words_of_forms[] = {
    {"ldr x8, [x1], #8", 0, 8, {0xf8408428}, {}},
    {"str x3, [x1], #8", 0, 8, {}, {0xf8008423}},
    {"ldr x8, [x1, #8]!", -8, 8, {0xf8408c28}, {}},
    {"str x3, [x1, #-8]!", 8, -8, {}, {0xf81f8c23}},
    {"ldrsh w8, [x1], #2", 0, 2, {0x78c02428}, {}},
    {"strb w3, [x1], #1", 0, 1, {}, {0x38001423}},
    {"ldp x8, x9, [x1]", 0, 0, {0xa9402428}, {}},
    {"stp x6, x7, [x1]", 0, 0, {}, {0xa9001c26}},
    {"ldp x8, x9, [x1], #16", 0, 16, {0xa8c12428}, {}},
    {"stp x6, x7, [x1], #16", 0, 16, {}, {0xa8811c26}},
    {"ldp x8, x9, [x1, #-16]!", 16, -16, {0xa9ff2428}, {}},
    {"stp x6, x7, [x1, #16]!", -16, 16, {}, {0xa9811c26}},
    {"ldp q2, q3, [x1], #32", 0, 32, {0xacc10c22}, {}},
    {"stp q0, q1, [x1], #-32", 0, -32, {}, {0xacbf0420}},
    {"ld1 {v2.16b-v5.16b}, [x1], #64", 0, 64, {0x4cdf2022}, {}},
    {"st1 {v0.16b-v3.16b}, [x1], #64", 0, 64, {}, {0x4c9f2020}},
    {"ldar x8, [x1]", 0, 0, {0xc8dffc28}, {}},
    {"stlr x3, [x1]", 0, 0, {}, {0xc89ffc23}},
    {"ldapr x8, [x1]", 0, 0, {0xf8bfc028}, {}},
    {"ldxr x8, [x1]", 0, 0, {0xc85f7c28}, {}},
    // Tried again until it has been made, from the load on.
    {"ldxr, stxr w10, x3, [x1]", 0, 0, {0xc85f7c28}, {0xc80a7c23, 0x35ffffca}},
    {"ldaxr, stlxr w10, x3, [x1]", 0, 0, {0xc85ffc28}, {0xc80afc23, 0x35ffffca}},
    {"ldxp, stxp w10, x6, x7, [x1]", 0, 0, {0xc87f2428}, {0xc82a1c26, 0x35ffffca}},
    {"cas x4, x3, [x1]", 0, 0, {}, {0xc8a47c23}},
    {"casp x4, x5, x6, x7, [x1]", 0, 0, {}, {0x48247c26}},
    {"ldadd x3, x8, [x1]", 0, 0, {}, {0xf8230028}},
    {"swpal x3, x8, [x1]", 0, 0, {}, {0xf8e38028}},
    {"stset x3, [x1]", 0, 0, {}, {0xf823303f}},
    {"dc zva, x1", 0, 0, {}, {0xd50b7421}},
};

inline Form form_of(const Words& words, uint64_t place) {
    Form form = {words.name, {}, {}, {}, static_cast<int32_t>(place) + words.ahead + words.moves};
    append_constant(form.bytes, 1, place + static_cast<uint64_t>(int64_t{words.ahead}));
    append(form.bytes, {0xd2800023,    // mov x3, #1
                        0xaa0303e6,    // mov x6, x3
                        0xaa0303e7,    // mov x7, x3
                        0xd28b4b44,    // mov x4, #0x5a5a
                        0xaa044084,    // orr x4, x4, x4, lsl #16
                        0xaa048084,    // orr x4, x4, x4, lsl #32
                        0xaa0403e5,    // mov x5, x4
                        0x9e670060});  // fmov d0, x3
    if (!words.read.empty()) form.reads = form.bytes.size();
    for (uint32_t word : words.read) append(form.bytes, {word});
    if (!words.write.empty()) form.writes = form.bytes.size();
    for (uint32_t word : words.write) append(form.bytes, {word});
    append(form.bytes, {0x2a0103e0, 0xd65f03c0});  // mov w0, w1; ret
    return form;
}

// Each about `place`, a multiple of 64.
inline std::vector<Form> forms(uint64_t place) {
    std::vector<Form> all;
    for (const Words& words : words_of_forms) all.push_back(form_of(words, place));
    return all;
}

}  // namespace gpremap::code
