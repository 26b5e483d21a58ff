#include "vmm/vcpus/instruction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "vmm/vcpus/store_origin_x86_64.h"

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

constexpr uint64_t rip = 0x100100;

std::vector<std::byte> bytes(std::initializer_list<int> values) {
    std::vector<std::byte> result;
    for (int value : values) result.push_back(static_cast<std::byte>(value));
    return result;
}

kvm_regs registers() {
    kvm_regs regs = {};
    regs.rip = rip;
    regs.rsp = 0x420000;
    regs.rdi = 0x1'0000'1000;
    regs.rsi = 0x2'0000'2000;
    regs.rbx = 0x3'0000'3000;
    regs.rcx = 5;
    regs.rax = 0x1122334455667788;
    regs.rflags = 2;
    return regs;
}

// Without the fetch, which every list begins with.
std::vector<Access> data_of(std::initializer_list<int> code, const kvm_regs& regs = registers()) {
    std::vector<Access> list = locate(regs, bytes(code));
    EXPECT_FALSE(list.empty());
    EXPECT_EQ(list.front(), (Access{regs.rip, code.size(), FaultKind::execute}));
    list.erase(list.begin());
    return list;
}

Access read(uint64_t at, uint64_t size) {
    return {at, size, FaultKind::read};
}
Access write(uint64_t at, uint64_t size) {
    return {at, size, FaultKind::write};
}

TEST(Locate, LoadsAndStores) {
    EXPECT_THAT(data_of({0x48, 0x8b, 0x07}), ElementsAre(read(0x1'0000'1000, 8)));   // mov (%rdi),%rax
    EXPECT_THAT(data_of({0x48, 0x89, 0x07}), ElementsAre(write(0x1'0000'1000, 8)));  // mov %rax,(%rdi)
    EXPECT_THAT(data_of({0x88, 0x47, 0x01}), ElementsAre(write(0x1'0000'1001, 1)));  // mov %al,1(%rdi)
    EXPECT_THAT(data_of({0x0f, 0xb7, 0x47, 0xfe}),
                ElementsAre(read(0x1'0000'0ffe, 2)));                                // movzwl -2(%rdi),%eax
    EXPECT_THAT(data_of({0x8b, 0x04, 0xcf}), ElementsAre(read(0x1'0000'1028, 4)));   // mov (%rdi,%rcx,8),%eax
    EXPECT_THAT(data_of({0x48, 0x39, 0x03}), ElementsAre(read(0x3'0000'3000, 8)));   // cmp %rax,(%rbx)
    EXPECT_THAT(data_of({0x0f, 0x94, 0x03}), ElementsAre(write(0x3'0000'3000, 1)));  // sete (%rbx)
}

TEST(Locate, RelativeToTheNextInstruction) {
    EXPECT_THAT(data_of({0x48, 0x8b, 0x05, 0x10, 0, 0, 0}), ElementsAre(read(rip + 7 + 0x10, 8)));
}

TEST(Locate, ReadModifyWriteIsAWrite) {
    EXPECT_THAT(data_of({0x48, 0xff, 0x07}), ElementsAre(write(0x1'0000'1000, 8)));        // inc
    EXPECT_THAT(data_of({0xf0, 0x48, 0x01, 0x07}), ElementsAre(write(0x1'0000'1000, 8)));  // lock add
    EXPECT_THAT(data_of({0x48, 0x87, 0x07}), ElementsAre(write(0x1'0000'1000, 8)));        // xchg
    EXPECT_THAT(data_of({0xf0, 0x48, 0x0f, 0xb1, 0x0f}),
                ElementsAre(write(0x1'0000'1000, 8)));  // lock cmpxchg
    EXPECT_THAT(data_of({0xf0, 0x48, 0x0f, 0xc1, 0x07}), ElementsAre(write(0x1'0000'1000, 8)));  // lock xadd
    EXPECT_THAT(data_of({0x48, 0x0f, 0xc7, 0x0f}), ElementsAre(write(0x1'0000'1000, 16)));       // cmpxchg16b
}

TEST(Locate, Strings) {
    EXPECT_THAT(data_of({0xf3, 0x48, 0xa5}),
                ElementsAre(read(0x2'0000'2000, 8), write(0x1'0000'1000, 8)));                   // rep movsq
    EXPECT_THAT(data_of({0xa4}), ElementsAre(read(0x2'0000'2000, 1), write(0x1'0000'1000, 1)));  // movsb
    EXPECT_THAT(data_of({0xf3, 0x48, 0xab}), ElementsAre(write(0x1'0000'1000, 8)));              // rep stosq
    EXPECT_THAT(data_of({0xf3, 0xac}), ElementsAre(read(0x2'0000'2000, 1)));                     // rep lodsb
    EXPECT_THAT(data_of({0xf2, 0xae}), ElementsAre(read(0x1'0000'1000, 1)));  // repne scasb
    kvm_regs none = registers();
    none.rcx = 0;
    EXPECT_THAT(data_of({0xf3, 0x48, 0xab}, none), IsEmpty());
    EXPECT_THAT(data_of({0x48, 0xab}, none), ElementsAre(write(0x1'0000'1000, 8)));
}

TEST(Locate, Stack) {
    EXPECT_THAT(data_of({0x50}), ElementsAre(write(0x420000 - 8, 8)));              // push %rax
    EXPECT_THAT(data_of({0x58}), ElementsAre(read(0x420000, 8)));                   // pop %rax
    EXPECT_THAT(data_of({0xe8, 0, 0, 0, 0}), ElementsAre(write(0x420000 - 8, 8)));  // call
    EXPECT_THAT(data_of({0xc3}), ElementsAre(read(0x420000, 8)));                   // ret
    EXPECT_THAT(data_of({0xff, 0x17}),
                ElementsAre(read(0x1'0000'1000, 8), write(0x420000 - 8, 8)));  // call *(%rdi)
    EXPECT_THAT(data_of({0xff, 0x37}),
                ElementsAre(read(0x1'0000'1000, 8), write(0x420000 - 8, 8)));  // push (%rdi)
    EXPECT_THAT(data_of({0x48, 0x89, 0x44, 0x24, 0x08}),
                ElementsAre(write(0x420008, 8)));  // mov %rax,8(%rsp)
    kvm_regs framed = registers();
    framed.rbp = 0x41f000;
    EXPECT_THAT(data_of({0xc9}, framed), ElementsAre(read(0x41f000, 8)));  // leave
}

TEST(Locate, BitTestsReachBeyondTheirOperand) {
    kvm_regs regs = registers();
    regs.rax = 8 * 4096 + 3;
    EXPECT_THAT(data_of({0x48, 0x0f, 0xab, 0x07}, regs),
                ElementsAre(write(0x1'0000'2000, 8)));  // bts %rax,(%rdi)
    regs.rax = static_cast<uint64_t>(-1);
    EXPECT_THAT(data_of({0x48, 0x0f, 0xa3, 0x07}, regs),
                ElementsAre(read(0x1'0000'0ff8, 8)));  // bt %rax,(%rdi)
    EXPECT_THAT(data_of({0x48, 0x0f, 0xba, 0x2f, 0x3f}, regs),
                ElementsAre(write(0x1'0000'1000, 8)));  // bts $63
}

TEST(Locate, NamesButDoesNotAccess) {
    EXPECT_THAT(data_of({0x48, 0x8d, 0x07}), IsEmpty());  // lea (%rdi),%rax
    EXPECT_THAT(data_of({0x0f, 0x1f, 0x07}), IsEmpty());  // nop (%rdi)
    EXPECT_THAT(data_of({0x0f, 0x18, 0x0f}), IsEmpty());  // prefetcht0 (%rdi)
    EXPECT_THAT(data_of({0x48, 0x01, 0xd8}), IsEmpty());  // add %rbx,%rax
}

TEST(Locate, StraddlingAccessIsTwo) {
    kvm_regs regs = registers();
    regs.rdi = 0x1'0000'0ffd;
    EXPECT_THAT(data_of({0x48, 0x8b, 0x07}, regs),
                ElementsAre(read(0x1'0000'0ffd, 3), read(0x1'0000'1000, 5)));
    regs.rdi = ~0ull - 3;  // at the top of the address space
    EXPECT_THAT(data_of({0x48, 0x8b, 0x07}, regs), ElementsAre(read(~0ull - 3, 4), read(0, 4)));
}

TEST(Locate, FetchThatStraddlesOrFails) {
    kvm_regs regs = registers();
    regs.rip = 0x1'0000'0ffe;
    EXPECT_THAT(locate(regs, bytes({0x48, 0x8b})), ElementsAre(Access{0x1'0000'0ffe, 2, FaultKind::execute},
                                                               Access{0x1'0000'1000, 1, FaultKind::execute}));
    EXPECT_THAT(locate(regs, {}), ElementsAre(Access{0x1'0000'0ffe, 1, FaultKind::execute}));
}

// ---- looking back ----

std::optional<StoreOrigin> origin(const kvm_regs& after, std::initializer_list<int> preceding,
                                  std::initializer_list<int> following, uint64_t at,
                                  const std::vector<std::byte>& data) {
    return find_origin(after, bytes(preceding), bytes(following), {at, data});
}

const std::vector<std::byte> rax_bytes = bytes({0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11});

TEST(Origin, PlainStore) {
    // mov %eax,%ebx; mov %rax,(%rdi)
    auto found = origin(registers(), {0x89, 0xc3, 0x48, 0x89, 0x07}, {0xc3}, 0x1'0000'1000, rax_bytes);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rip, rip - 3);
    EXPECT_EQ(found->repeat, StoreOrigin::Repeat::exact);
}

TEST(Origin, PartOfAStraddlingStore) {
    kvm_regs regs = registers();
    regs.rdi = 0x1'0000'0ffd;
    std::vector<std::byte> tail(rax_bytes.begin() + 3, rax_bytes.end());
    auto found = origin(regs, {0x48, 0x89, 0x07}, {0xc3}, 0x1'0000'1000, tail);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rip, rip - 3);
}

TEST(Origin, ByteBeforeThatLooksLikeAPrefixIsToldApartByTheData) {
    kvm_regs regs = registers();
    regs.r8 = 0x99;
    // ... 0x44; mov %al,(%rdi): with the 0x44 it would store %r8b
    auto found = origin(regs, {0x44, 0x88, 0x07}, {0xc3}, 0x1'0000'1000, bytes({0x88}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rip, rip - 2);
}

TEST(Origin, PushTakesTheStackBack) {
    kvm_regs regs = registers();
    regs.rsp -= 8;
    auto found = origin(regs, {0x50}, {0xc3}, 0x420000 - 8, rax_bytes);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rsp, 0x420000u);
    EXPECT_EQ(found->before.rip, rip - 1);
}

TEST(Origin, RepeatedStringGoesBackOneRound) {
    kvm_regs after = registers();
    after.rdi += 8;
    after.rcx = 0;  // the last round: rip is still at the instruction
    auto found = origin(after, {0x90}, {0xf3, 0x48, 0xab}, 0x1'0000'1000, rax_bytes);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rip, rip);
    EXPECT_EQ(found->before.rdi, 0x1'0000'1000u);
    EXPECT_EQ(found->before.rcx, 1u);
}

TEST(Origin, DescendingCopyGoesBackUp) {
    kvm_regs after = registers();
    after.rflags |= 1 << 10;
    after.rdi -= 8;
    after.rsi -= 8;
    auto found = origin(after, {0x90}, {0xf3, 0x48, 0xa5}, 0x1'0000'1000, rax_bytes);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rdi, 0x1'0000'1000u);
    EXPECT_EQ(found->before.rsi, 0x2'0000'2000u);
    EXPECT_EQ(found->before.rcx, 6u);
}

TEST(Origin, ExchangeHasLostItsInput) {
    auto found =
        origin(registers(), {0x48, 0x87, 0x07}, {0xc3}, 0x1'0000'1000, bytes({1, 0, 0, 0, 0, 0, 0, 0}));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->before.rip, rip - 3);
    EXPECT_EQ(found->repeat, StoreOrigin::Repeat::unlike);
}

TEST(Origin, NothingThatStoresThere) {
    EXPECT_FALSE(origin(registers(), {0x48, 0x89, 0x07}, {0xc3}, 0x1'0000'2000, rax_bytes));
    EXPECT_FALSE(origin(registers(), {0x48, 0x8b, 0x07}, {0xc3}, 0x1'0000'1000, rax_bytes));
    EXPECT_FALSE(origin(registers(), {}, {}, 0x1'0000'1000, rax_bytes));
}

}  // namespace
}  // namespace gpremap
