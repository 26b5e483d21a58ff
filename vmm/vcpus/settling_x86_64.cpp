// MMIO exits on x86-64, where KVM emulates: a load is not done yet, a store is done but for what it stores.
#include <algorithm>

#include "vmm/base/errors.h"
#include "vmm/vcpus/store_origin_x86_64.h"
#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {

VcpuThread::Next VcpuThread::handle(const exits::Mmio& mmio) {
    if (crew_.guest.device(*vcpu_, mmio) == Guest::Known::yes) return Next::enter;
    if (mmio.kind == abi::FaultKind::write)
        settle_store(mmio);
    else
        settle_load(mmio);
    return Next::enter;
}

// Ends at rip; shorter where memory begins within.
std::vector<std::byte> VcpuThread::code_before(uint64_t rip) const {
    for (std::size_t length = longest_instruction; length > 0; length--) {
        std::vector<std::byte> code(length);
        auto gpa = crew_.guest.translate(index_, rip - length);
        if (gpa && crew_.vm.read_guest(*gpa, code) == length) return code;
    }
    return {};
}

// The registers are those before the instruction: once KVM has let go of it, it can be repeated.
void VcpuThread::settle_load(const exits::Mmio& mmio) {
    const kvm_regs regs = vcpu_->registers();
    std::vector<Access> accesses = accesses_at(regs);
    auto listed = std::ranges::find_if(
        accesses, [&](const Access& access) { return mmio.gpa - access.address < access.size; });
    bool stores_there = listed != accesses.end() && listed->kind == abi::FaultKind::write;
    if (listed == accesses.end()) accesses.push_back({mmio.gpa, mmio.size, mmio.kind});
    auto refused = first_refused(accesses);
    if (!refused && stores_there && !vcpu_->can_hide_memory())
        throw HostLacks(
            "this host's KVM cannot take back a half-done read-modify-write: use a kernel with "
            "CONFIG_KVM_SMM");
    vcpu_->abandon_mmio(crew_.guest.empty_page_table());
    if (refused)
        deliver(*refused, regs.rip);
    else
        check_progress(regs, accesses);
}

// The instruction is done but for its store. Where the space has come to allow the store since, the
// instruction is taken back and repeated; one that cannot be taken back is reported: when it was made,
// the access was not allowed.
void VcpuThread::settle_store(const exits::Mmio& mmio) {
    const kvm_regs after = vcpu_->registers();
    const Access access = {mmio.gpa, mmio.size, abi::FaultKind::write};
    auto origin = find_origin(
        after, code_before(after.rip), code_at(after.rip),
        {mmio.gpa, std::span(mmio.data).first(std::min<std::size_t>(mmio.size, mmio.data.size()))});
    auto refused = first_refused({access});
    vcpu_->abandon_mmio(crew_.guest.empty_page_table());
    if (refused || !origin || origin->repeat != StoreOrigin::Repeat::exact) {
        deliver(access, origin ? origin->before.rip : after.rip);
        return;
    }
    check_progress(origin->before, {access});
    vcpu_->set_registers(origin->before);
}

}  // namespace gpremap
