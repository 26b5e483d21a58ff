#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "guest/abi/agent.h"
#include "tests/vmm/code_form.h"

namespace gpremap::code {

using Bytes = std::vector<uint8_t>;

// lea 1(%rdi),%eax; ret
inline const Bytes add_one = {0x8d, 0x47, 0x01, 0xc3};

// ud2
inline const Bytes undefined = {0x0f, 0x0b};
inline constexpr uint32_t undefined_vector = 6;

// mov $0x1'4000'0000,%rax; mov %rdi,(%rax); ret
inline const Bytes store_far = {0x48, 0xb8, 0, 0, 0, 0x40, 1, 0, 0, 0, 0x48, 0x89, 0x38, 0xc3};
inline constexpr uint64_t store_far_to = 0x1'4000'0000, store_far_offset = 10;

// 1: nop; jmp 1b
inline const Bytes turning = {0x90, 0xeb, 0xfd};

// Increments the words at `a`, atomically, and at `b`, by an instruction that a remap cannot divide, as often as its
// argument says.
inline Bytes count_both(uint64_t a, uint64_t b) {
    Bytes bytes = {0x48, 0xb8, 0,    0,    0, 0, 0, 0, 0, 0,  //       mov $a,%rax
                   0x48, 0xba, 0,    0,    0, 0, 0, 0, 0, 0,  //       mov $b,%rdx
                   0xf0, 0x48, 0xff, 0x00,                    //    1: lock incq (%rax)
                   0x48, 0xff, 0x02,                          //       incq (%rdx)
                   0xff, 0xcf,                                //       dec %edi
                   0x75, 0xf5,                                //       jnz 1b
                   0xc3};
    std::memcpy(bytes.data() + 2, &a, sizeof a);
    std::memcpy(bytes.data() + 12, &b, sizeof b);
    return bytes;
}

// ---- exceptions ----

// Of an access that the agent's tables do not map.
inline constexpr uint32_t vector_of_data = 14;
inline bool is_denied_execution(const abi::Fault& fault) {
    return fault.vector == 14 && fault.error_code == 0x15;
}

// Whether a vCPU that cannot even handle an exception shuts down.
inline constexpr bool can_shut_down = true;

// ---- the instruction at a fault ----

using Instruction = uint8_t;  // its first byte
inline bool is_locked(Instruction first) {
    return first == 0xf0;
}
inline bool is_of_string(Instruction first) {
    return first == 0xf3;
}

// ---- every form of load and store ----

// About (%rsi) or (%rdi), with %rdx = 1 and %rax as memory is.
struct BytesOfForm {
    const char* name;
    int32_t moves;  // what the base is moved by
    bool writes;
    Bytes bytes;
};
inline const BytesOfForm bytes_of_forms[] = {
    {"lodsq", 8, false, {0x48, 0xad}},
    {"add (%rdi),%rdx", 0, false, {0x48, 0x03, 0x17}},
    {"add %rdx,(%rdi)", 0, true, {0x48, 0x01, 0x17}},
    {"movnti %rdx,(%rdi)", 0, true, {0x48, 0x0f, 0xc3, 0x17}},
    {"xchg %rdx,(%rdi)", 0, true, {0x48, 0x87, 0x17}},
    {"lock xadd %rdx,(%rdi)", 0, true, {0xf0, 0x48, 0x0f, 0xc1, 0x17}},
    {"lock cmpxchg %rdx,(%rdi)", 0, true, {0xf0, 0x48, 0x0f, 0xb1, 0x17}},
};

inline Form form_of(const BytesOfForm& one, uint64_t place) {
    Bytes bytes = {0x48, 0xbe, 0,    0,    0,    0,    0,    0,    0,    0,     // mov $place,%rsi
                   0x48, 0xb8, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a,  // mov $0x5a...,%rax
                   0x48, 0x89, 0xf7,                                            // mov %rsi,%rdi
                   0xba, 1,    0,    0,    0};                                  // mov $1,%edx
    std::memcpy(bytes.data() + 2, &place, sizeof place);
    Form form = {one.name, bytes, {}, {}, static_cast<int32_t>(2 * place) + one.moves};
    (one.writes ? form.writes : form.reads) = bytes.size();
    form.bytes.insert(form.bytes.end(), one.bytes.begin(), one.bytes.end());
    const Bytes end = {0x48, 0x01, 0xf7,   // add %rsi,%rdi
                       0x89, 0xf8, 0xc3};  // mov %edi,%eax; ret
    form.bytes.insert(form.bytes.end(), end.begin(), end.end());
    return form;
}

inline std::vector<Form> forms(uint64_t place) {
    std::vector<Form> all;
    for (const BytesOfForm& one : bytes_of_forms) all.push_back(form_of(one, place));
    return all;
}

}  // namespace gpremap::code
