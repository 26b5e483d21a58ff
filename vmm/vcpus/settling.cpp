// How a vCPU's access that did not get through is settled: repeated where the space has come to allow it, reported
// where it does not.
#include <algorithm>
#include <cstring>

#include "vmm/base/errors.h"
#include "vmm/host/huge_page_account.h"
#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {
namespace {

bool is_same(const kvm_regs& a, const kvm_regs& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

}  // namespace

std::vector<std::byte> VcpuThread::code_at(uint64_t rip) const {
    std::vector<std::byte> code(longest_instruction);
    auto gpa = crew_.guest.translate(index_, rip);
    code.resize(gpa ? crew_.vm.read_guest(*gpa, code) : 0);
    return code;
}

// What the instruction at rip accesses next, at guest-physical addresses. An access that is within a page, and
// that the guest's own tables do not map, is none of this VMM's.
std::vector<Access> VcpuThread::accesses_at(const kvm_regs& regs) const {
    std::vector<Access> found;
    for (Access access : locate(regs, code_at(instruction_address(regs)))) {
        auto gpa = crew_.guest.translate(index_, access.address);
        if (!gpa) continue;
        access.address = *gpa;
        found.push_back(access);
    }
    return found;
}

// Asks for each access until one is refused.
std::optional<Access> VcpuThread::first_refused(const std::vector<Access>& accesses) {
    bool asked = false;
    for (const Access& access : accesses) {
        if (crew_.guest.owns(access.address)) continue;
        asked = true;
        if (crew_.remapper.fault(index_, access.address, access.kind) == FaultVerdict::report) return access;
    }
    if (!asked) die("an access did not get through, and the instruction at rip does not tell which");
    return std::nullopt;
}

// The registers are those before the instruction: it is repeated, or reported.
void VcpuThread::settle(const kvm_regs& regs, const std::vector<Access>& accesses) {
    if (auto refused = first_refused(accesses))
        deliver(*refused, instruction_address(regs));
    else
        check_progress(regs, accesses);
}

VcpuThread::Next VcpuThread::handle(exits::HostFault) {
    const kvm_regs regs = vcpu_->registers();
    settle(regs, accesses_at(regs));
    return Next::enter;
}

// KVM emulates where no slot is, or was a moment ago. Tried again, with no call in between, it must come
// through.
VcpuThread::Next VcpuThread::handle(const exits::Unemulated& exit) {
    const kvm_regs regs = vcpu_->registers();
    const std::vector<Access> accesses = accesses_at(regs);
    bool tried_again = is_same(regs, stuck_.regs) && crew_.remapper.generation() == stuck_.generation;
    if (tried_again ||
        std::ranges::all_of(accesses, [&](const Access& access) { return crew_.guest.owns(access.address); }))
        die(exit.description);
    settle(regs, accesses);
    return Next::enter;
}

void VcpuThread::deliver(const Access& access, uint64_t rip) {
    abi::Fault fault = {};
    fault.address = access.address;
    fault.rip = rip;
    fault.kind = access.kind;
    fault.cause = abi::FaultCause::stage2;
    fault.vcpu = index_;
    crew_.guest.deliver(index_, *vcpu_, fault);
}

namespace {

// What the host may not have had for an access to memory of this backing.
std::string doubt_of_host(Backing backing, const OpenHugePages& open) {
    const auto pool = open.read();
    if (!pool) return "Is the host out of memory?";
    return "Is its pool of huge pages too small for what it has promised? It has " +
           describe(*pool, huge_page_of(backing));
}

}  // namespace

// A retry helps where the space has changed, or is done changing. The same registers again, and not one
// call in between: the host cannot provide what the space promises (a huge page pool run dry, say).
void VcpuThread::check_progress(const kvm_regs& regs, const std::vector<Access>& accesses) {
    constexpr uint64_t most_retries = 1'000'000;
    constexpr auto longest = std::chrono::seconds(5);
    uint64_t generation = crew_.remapper.generation();
    bool same_access = is_same(regs, stuck_.regs);
    activity_.retries++;
    uint64_t in_a_row = same_access ? stuck_.in_a_row + 1 : 1;
    activity_.retries_in_a_row = std::max(activity_.retries_in_a_row, in_a_row);
    if (!same_access || generation != stuck_.generation)
        stuck_ = {regs, generation, 0, 0, activity_.visit.left};
    stuck_.in_a_row = in_a_row;
    stuck_.retries++;
    if (stuck_.retries <= most_retries && activity_.visit.left - stuck_.since <= longest) return;
    abi::Fault fault = {};
    fault.address = accesses.back().address;
    fault.kind = accesses.back().kind;
    fault.rip = instruction_address(regs);
    fault.vcpu = index_;
    die("no progress: the map allows the access, but the host did not let it through " +
        std::to_string(stuck_.retries) + " times: " + describe(fault) + ". " +
        doubt_of_host(crew_.remapper.backing(), pool_));
}

}  // namespace gpremap
