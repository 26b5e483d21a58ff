// The decoder of a guest's instructions: any bytes and any registers give accesses that lie within a page each, and
// origins that lie where the instruction can have been.
#include <algorithm>
#include <array>
#include <span>

#include "tests/fuzz/input.h"
#include "vmm/vcpus/instruction.h"
#include "vmm/vcpus/store_origin_x86_64.h"

namespace {

constexpr uint64_t page = 4096;

void check(const std::vector<gpremap::Access>& accesses, const kvm_regs& regs) {
    if (accesses.empty() || accesses.front().address != regs.rip) fuzz::fail("the fetch is not the first");
    for (const gpremap::Access& access : accesses) {
        if (access.size == 0 || access.size > page) fuzz::fail("an access of no size");
        if (access.address / page != (access.address + access.size - 1) / page)
            fuzz::fail("an access that straddles pages");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input(data, size);
    const auto code = input.take<std::array<std::byte, gpremap::longest_instruction>>();
    const auto before = input.take<std::array<std::byte, gpremap::longest_instruction>>();
    const size_t known = input.take<uint8_t>() % (code.size() + 1);
    const auto stored = input.take<std::array<std::byte, 8>>();
    const size_t stored_size = 1 + input.take<uint8_t>() % stored.size();
    const auto address = input.take<uint64_t>();
    const auto regs = input.take<kvm_regs>();

    check(gpremap::locate(regs, std::span(code).first(known)), regs);
    const gpremap::PendingStore store{address, std::span(stored).first(stored_size)};
    const auto origin = gpremap::find_origin(regs, before, std::span(code).first(known), store);
    if (origin && regs.rip - origin->before.rip > gpremap::longest_instruction)
        fuzz::fail("an origin that no instruction reaches");
    return 0;
}
