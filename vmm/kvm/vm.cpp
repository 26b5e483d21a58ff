#include "vmm/kvm/vm.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <system_error>

#include "vmm/kvm/vcpu.h"

namespace gpremap {
namespace {

// The order in which stats() asks for them.
const std::vector<std::string> vm_statistics = {"pages_4k", "pages_2m", "pages_1g"};
const std::vector<std::string> vcpu_statistics = {"pf_taken", "tlb_flush", "exits"};

}  // namespace

Vm::Vm(const Kvm& kvm) : kvm_(kvm), fd_(kvm.create_vm()) {
    prepare_processor();
    if (capabilities().statistics) statistics_ = std::make_unique<Statistics>(fd_, vm_statistics);
}

void Vm::set_memory(uint32_t slot, uint64_t gpa, uint64_t size, void* host, uint32_t flags) {
    kvm_userspace_memory_region region = {};
    region.slot = slot;
    region.flags = flags;
    region.guest_phys_addr = gpa;
    region.memory_size = size;
    region.userspace_addr = reinterpret_cast<uintptr_t>(host);
    std::lock_guard lock(slots_mutex_);
    // The only allocation comes before KVM knows of the slot: it may fail.
    auto [entry, is_new] = slots_.try_emplace(slot);
    try {
        kvm_ioctl(fd_, KVM_SET_USER_MEMORY_REGION, &region, "KVM_SET_USER_MEMORY_REGION");
    } catch (const std::system_error&) {
        if (is_new) slots_.erase(entry);
        throw;
    }
    if (size == 0)
        slots_.erase(entry);
    else
        entry->second = Slot{gpa, size, static_cast<std::byte*>(host)};
}

// The kernel does the reading: it stops where the host has nothing, and a range in motion cannot
// kill this process.
std::size_t Vm::read_guest(uint64_t gpa, std::span<std::byte> to) const {
    std::lock_guard lock(slots_mutex_);
    std::size_t done = 0;
    while (done < to.size()) {
        uint64_t at = gpa + done;
        auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const auto& entry) {
            return at - entry.second.gpa < entry.second.size;
        });
        if (slot == slots_.end()) break;
        uint64_t offset = at - slot->second.gpa;
        std::size_t size = std::min<uint64_t>(to.size() - done, slot->second.size - offset);
        iovec local = {to.data() + done, size};
        iovec remote = {slot->second.host + offset, size};
        ssize_t copied = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
        if (copied <= 0) break;
        done += static_cast<std::size_t>(copied);
    }
    return done;
}

std::vector<Vm::Slot> Vm::slots_in(const remap::Range& range) const {
    std::vector<Slot> found;
    {
        std::lock_guard lock(slots_mutex_);
        for (const auto& [number, slot] : slots_)
            if (remap::Range::of(remap::Gpa{slot.gpa}, remap::Size{slot.size}).overlaps(range))
                found.push_back(slot);
    }
    std::sort(found.begin(), found.end(), [](const Slot& a, const Slot& b) { return a.gpa < b.gpa; });
    return found;
}

KvmCounts Vm::stats() const {
    KvmCounts counts;
    if (!statistics_) return counts;
    counts.pages_4k = statistics_->value(0);
    counts.pages_2m = statistics_->value(1);
    counts.pages_1g = statistics_->value(2);
    for (const auto& vcpu : vcpu_statistics_) {
        counts.faults += vcpu->value(0);
        counts.tlb_flushes += vcpu->value(1);
        counts.exits += vcpu->value(2);
    }
    return counts;
}

std::unique_ptr<Vcpu> Vm::create_vcpu() {
    auto index = static_cast<unsigned long>(vcpu_statistics_.size());
    Descriptor fd(kvm_ioctl(fd_, KVM_CREATE_VCPU, index, "KVM_CREATE_VCPU"));
    vcpu_statistics_.push_back(capabilities().statistics ? std::make_unique<Statistics>(fd, vcpu_statistics)
                                                         : nullptr);
    return std::make_unique<Vcpu>(kvm_, std::move(fd));
}

}  // namespace gpremap
