// MMIO exits on aarch64: KVM tells the address of a load or store that has not been done.
#include <algorithm>

#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {

// What is not decoded has that address all the same.
VcpuThread::Next VcpuThread::handle(const exits::Mmio& mmio) {
    const kvm_regs regs = vcpu_->registers();
    std::vector<Access> accesses = accesses_at(regs);
    const bool is_listed = std::ranges::any_of(
        accesses, [&](const Access& access) { return mmio.gpa - access.address < access.size; });
    if (!is_listed) accesses.push_back({mmio.gpa, mmio.size, mmio.kind});
    vcpu_->abandon_mmio(crew_.guest.empty_page_table());
    settle(regs, accesses);
    return Next::enter;
}

}  // namespace gpremap
