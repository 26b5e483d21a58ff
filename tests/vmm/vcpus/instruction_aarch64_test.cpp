#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "vmm/vcpus/instruction.h"

namespace gpremap {

void PrintTo(const Access& access, std::ostream* out) {
    const char* kinds[] = {"read", "write", "execute"};
    *out << std::hex << std::showbase << access.address << "+" << access.size << " "
         << kinds[static_cast<unsigned>(access.kind)];
}

namespace {

using abi::FaultKind;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t pc = 0x100100, x1 = 0x20000800, sp = 0x30000400;
constexpr uint64_t x2 = 3, w3 = 0xffff'fffe, x4 = 0x40000123;  // w3 is -2, below a half that does not count

kvm_regs registers() {
    kvm_regs regs = {};
    regs.regs.pc = pc;
    regs.regs.sp = sp;
    regs.regs.regs[1] = x1;
    regs.regs.regs[2] = x2;
    regs.regs.regs[3] = 0x1234'0000'0000'0000 | w3;
    regs.regs.regs[4] = x4;
    return regs;
}

std::vector<Access> data_of(uint32_t word, const kvm_regs& regs = registers()) {
    std::vector<std::byte> code(sizeof word);
    std::memcpy(code.data(), &word, sizeof word);
    std::vector<Access> accesses = locate(regs, code);
    EXPECT_EQ(accesses.front(), (Access{pc, 4, FaultKind::execute}));
    accesses.erase(accesses.begin());
    return accesses;
}

struct Case {
    const char* text;
    uint32_t word;
    Access access;
};

constexpr FaultKind r = FaultKind::read, w = FaultKind::write;
const Case cases[] = {
    {"ldr x0, [x1]", 0xf9400020, {x1, 8, r}},
    {"str w0, [x1, #8]", 0xb9000820, {x1 + 8, 4, w}},
    {"strb w0, [x1, #3]", 0x39000c20, {x1 + 3, 1, w}},
    {"ldrh w0, [x1], #2", 0x78402420, {x1, 2, r}},
    {"str x0, [x1, #-16]!", 0xf81f0c20, {x1 - 16, 8, w}},
    {"ldrsw x0, [x1, x2, lsl #2]", 0xb8a27820, {x1 + 4 * x2, 4, r}},
    {"str x0, [x1, w3, sxtw #3]", 0xf823d820, {x1 - 16, 8, w}},
    {"ldur x0, [x1, #-8]", 0xf85f8020, {x1 - 8, 8, r}},
    {"ldtr x0, [x1, #8]", 0xf8408820, {x1 + 8, 8, r}},
    {"ldp x4, x5, [x1], #16", 0xa8c11424, {x1, 16, r}},
    {"stp x4, x5, [x1, #-32]!", 0xa9be1424, {x1 - 32, 16, w}},
    {"ldpsw x4, x5, [x1, #8]", 0x69411424, {x1 + 8, 8, r}},
    {"stp w4, w5, [sp, #16]", 0x290217e4, {sp + 16, 8, w}},
    {"stnp q0, q1, [x1, #32]", 0xac010420, {x1 + 32, 32, w}},
    {"ldr q0, [x1, #16]", 0x3dc00420, {x1 + 16, 16, r}},
    {"str b0, [x1]", 0x3d000020, {x1, 1, w}},
    {"str d0, [x1, x2]", 0xfc226820, {x1 + x2, 8, w}},
    {"ldxr x0, [x1]", 0xc85f7c20, {x1, 8, r}},
    {"stxr w6, x0, [x1]", 0xc8067c20, {x1, 8, w}},
    {"ldaxp x4, x5, [x1]", 0xc87f9424, {x1, 16, r}},
    {"stlxp w6, w4, w5, [x1]", 0x88269424, {x1, 8, w}},
    {"ldarb w0, [x1]", 0x08dffc20, {x1, 1, r}},
    {"stlr x0, [x1]", 0xc89ffc20, {x1, 8, w}},
    {"cas x0, x4, [x1]", 0xc8a07c24, {x1, 8, w}},
    {"casp w4, w5, w6, w7, [x1]", 0x08247c26, {x1, 8, w}},
    {"ldadd x0, x4, [x1]", 0xf8200024, {x1, 8, w}},
    {"stset w0, [x1]", 0xb820303f, {x1, 4, w}},
    {"swpal x0, x4, [x1]", 0xf8e08024, {x1, 8, w}},
    {"ldaprh w0, [x1]", 0x78bfc020, {x1, 2, r}},
    {"ldapur x0, [x1, #-8]", 0xd95f8020, {x1 - 8, 8, r}},
    {"stlurb w0, [x1, #5]", 0x19005020, {x1 + 5, 1, w}},
    {"ldr x0, .+16", 0x58000080, {pc + 16, 8, r}},
    {"ldr s0, .-8", 0x1cffffc0, {pc - 8, 4, r}},
    {"ld1 {v0.16b, v1.16b}, [x1]", 0x4c40a020, {x1, 32, r}},
    {"st4 {v0.8b - v3.8b}, [x1], #32", 0x0c9f0020, {x1, 32, w}},
    {"st1 {v0.h}[2], [x1]", 0x0d005020, {x1, 2, w}},
    {"ld3r {v0.2d - v2.2d}, [x1]", 0x4d40ec20, {x1, 24, r}},
    {"dc zva, x4", 0xd50b7424, {x4 & ~63ull, 64, w}},
    {"dc cvau, x4", 0xd50b7b24, {x4, 1, r}},
    {"dc civac, x4", 0xd50b7e24, {x4, 1, r}},
    {"ic ivau, x4", 0xd50b7524, {x4, 1, r}},
};

TEST(InstructionAarch64, AccessesWhatItSays) {
    for (const Case& one : cases) {
        SCOPED_TRACE(one.text);
        EXPECT_THAT(data_of(one.word), ElementsAre(one.access));
    }
}

TEST(InstructionAarch64, WhatAccessesNothingIsNotInTheList) {
    const Case none[] = {{"prfm pldl1keep, [x1]", 0xf9800020, {}},
                         {"add x0, x1, x2", 0x8b020020, {}},
                         {"b .", 0x14000000, {}},
                         {"nop", 0xd503201f, {}},
                         {"udf #0", 0, {}}};
    for (const Case& one : none) EXPECT_THAT(data_of(one.word), IsEmpty()) << one.text;
}

// Of a register that is sp in a base, and nothing as an offset.
TEST(InstructionAarch64, Register31IsTheStackAsABaseAndZeroAsAnOffset) {
    EXPECT_THAT(data_of(0xf94003e0), ElementsAre(Access{sp, 8, r}));  // ldr x0, [sp]
    EXPECT_THAT(data_of(0xf87f6820), ElementsAre(Access{x1, 8, r}));  // ldr x0, [x1, xzr]
}

TEST(InstructionAarch64, StraddledPagesAreTwoAccesses) {
    kvm_regs regs = registers();
    regs.regs.regs[1] = 0x20000ff8;
    EXPECT_THAT(data_of(0xa8c11424, regs),  // ldp x4, x5, [x1], #16
                ElementsAre(Access{0x20000ff8, 8, r}, Access{0x20001000, 8, r}));
}

TEST(InstructionAarch64, WhatCannotBeReadLeavesTheFetch) {
    EXPECT_THAT(locate(registers(), {}), ElementsAre(Access{pc, 4, FaultKind::execute}));
}

}  // namespace
}  // namespace gpremap
