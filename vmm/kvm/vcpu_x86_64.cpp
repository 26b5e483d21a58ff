#include <cerrno>
#include <cstring>
#include <memory>
#include <sstream>

#include "vmm/kvm/vcpu.h"

namespace gpremap {
namespace {

Exit classify_io(kvm_run* area) {
    const auto& io = area->io;
    auto direction = io.direction == KVM_EXIT_IO_OUT ? exits::Io::Direction::out : exits::Io::Direction::in;
    return exits::Io{io.port, direction, io.size, io.count,
                     reinterpret_cast<std::byte*>(area) + io.data_offset};
}

Exit classify_mmio(const kvm_run* area) {
    exits::Mmio mmio = {area->mmio.phys_addr,
                        area->mmio.len,
                        area->mmio.is_write ? abi::FaultKind::write : abi::FaultKind::read,
                        {}};
    std::memcpy(mmio.data.data(), area->mmio.data, mmio.data.size());
    return mmio;
}

}  // namespace

void Vcpu::prepare(const Kvm& kvm) {
    auto cpuid = std::make_unique<CpuidTable>(kvm.vcpu_model());
    kvm_ioctl(fd_, kvm_number::set_cpuid2, cpuid.get(), "KVM_SET_CPUID2");
    if (capabilities_.sync_regs) area_->kvm_valid_regs = KVM_SYNC_X86_REGS;
}

void Vcpu::load_registers() {
    if (loaded_ || changed_) return;
    if (capabilities_.sync_regs)
        registers_ = area_->s.regs.regs;
    else
        kvm_ioctl(fd_, KVM_GET_REGS, &registers_, "KVM_GET_REGS");
    loaded_ = true;
}

void Vcpu::store_registers() {
    if (changed_ && capabilities_.sync_regs) {
        area_->s.regs.regs = registers_;
        area_->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
    } else if (changed_) {
        kvm_ioctl(fd_, KVM_SET_REGS, &registers_, "KVM_SET_REGS");
    }
    changed_ = false;
    loaded_ = false;
}

void Vcpu::set_result(uint64_t result) {
    load_registers();
    registers_.rax = result;
    changed_ = true;
}

kvm_sregs Vcpu::special_registers() const {
    kvm_sregs sregs;
    kvm_ioctl(fd_, KVM_GET_SREGS, &sregs, "KVM_GET_SREGS");
    return sregs;
}

void Vcpu::set_special_registers(const kvm_sregs& sregs) {
    kvm_ioctl(fd_, KVM_SET_SREGS, &sregs, "KVM_SET_SREGS");
}

Exit Vcpu::classify() {
    switch (area_->exit_reason) {
        case KVM_EXIT_IO:
            return classify_io(area_);
        case KVM_EXIT_MMIO:
            return classify_mmio(area_);
        case KVM_EXIT_INTR:
            return exits::Interrupted{};
        case KVM_EXIT_INTERNAL_ERROR:
            if (area_->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
                return exits::Unemulated{describe_exit()};
            return exits::Unexpected{describe_exit()};
        case KVM_EXIT_SHUTDOWN:
            return exits::Shutdown{};
        default:
            return exits::Unexpected{describe_exit()};
    }
}

std::string Vcpu::describe_exit() const {
    std::ostringstream out;
    out << "KVM exit reason " << area_->exit_reason << std::hex << std::showbase;
    switch (area_->exit_reason) {
        case KVM_EXIT_IO:
            out << " (port " << area_->io.port
                << (area_->io.direction == KVM_EXIT_IO_OUT ? ", out, " : ", in, ") << unsigned{area_->io.size}
                << " bytes)";
            break;
        case KVM_EXIT_HLT:
            out << " (hlt)";
            break;
        case KVM_EXIT_FAIL_ENTRY:
            out << " (entry failed, hardware reason " << area_->fail_entry.hardware_entry_failure_reason
                << ")";
            break;
        case KVM_EXIT_INTERNAL_ERROR:
            out << " (KVM internal error, suberror " << area_->internal.suberror
                << (area_->internal.suberror == KVM_INTERNAL_ERROR_EMULATION
                        ? ": cannot emulate the instruction)"
                        : ")");
            break;
        default:
            break;
    }
    return out.str();
}

// KVM_RUN with immediate_exit finishes the pending half: for a read it executes the instruction with
// the data supplied, which may go on to store. So the vCPU is shown no memory meanwhile, and the store
// faults, or is one more MMIO exit. With shadow paging the emulator walks the guest's page tables, and
// ones that map nothing do it. With nested paging it may have kept the address of the exit, and writes
// there; but in system management mode a vCPU sees another address space, in which there are no slots.
// What the instruction did to registers and events is then overwritten. A kernel outside of long mode may have a code
// segment that says it is one of 64 bits, which means nothing there, and KVM does not take it back.
void Vcpu::abandon_mmio(uint64_t empty_root) {
    // KVM does up to 4096 elements of a repeated instruction in a row (of `ins`, what it has read), each of which may be two.
    constexpr int pieces = 2 * 4096 + 1;
    constexpr uint64_t efer_lma = 0x400;
    kvm_regs regs = registers();
    kvm_sregs sregs = special_registers();
    if (!(sregs.efer & efer_lma)) sregs.cs.l = 0;
    kvm_vcpu_events events;
    kvm_ioctl(fd_, KVM_GET_VCPU_EVENTS, &events, "KVM_GET_VCPU_EVENTS");

    kvm_vcpu_events no_slots = events;
    no_slots.flags |= KVM_VCPUEVENT_VALID_SMM;
    no_slots.smi.smm = 1;
    if (capabilities_.system_management)
        kvm_ioctl(fd_, KVM_SET_VCPU_EVENTS, &no_slots, "KVM_SET_VCPU_EVENTS");
    kvm_sregs no_pages = sregs;
    no_pages.cr3 = empty_root;
    set_special_registers(no_pages);
    area_->immediate_exit = 1;
    int error = 0;
    for (int i = 0; i < pieces && error == 0; i++) {
        std::memset(area_->mmio.data, 0, sizeof area_->mmio.data);
        error = enter_once();
    }
    area_->immediate_exit = 0;
    if (error != EINTR) {
        errno = error;
        throw_errno("abandoning an MMIO exit");
    }
    kvm_ioctl(fd_, KVM_SET_VCPU_EVENTS, &events, "KVM_SET_VCPU_EVENTS");
    set_special_registers(sregs);
    set_registers(regs);
}

bool Vcpu::can_hide_memory() const {
    return capabilities_.system_management || capabilities_.mmu == MmuKind::shadow;
}

// Going to other tables and back makes KVM flush what it and the processor hold for this vCPU, under
// nested and shadow paging alike. CR4.PGE stands for "other tables": the root stays in use meanwhile.
bool Vcpu::drop_translations() {
    constexpr uint64_t cr4_pge = 0x80;
    kvm_sregs sregs = special_registers();
    kvm_sregs other = sregs;
    other.cr4 ^= cr4_pge;
    set_special_registers(other);
    set_special_registers(sregs);
    return true;
}

uint32_t Vcpu::tsc_khz() const {
    return static_cast<uint32_t>(kvm_ioctl(fd_, KVM_GET_TSC_KHZ, 0ul, "KVM_GET_TSC_KHZ"));
}

// ---- of a guest that is a kernel ----

void Vcpu::set_cpuid(const CpuidTable& cpuid) {
    CpuidTable table = cpuid;
    kvm_ioctl(fd_, kvm_number::set_cpuid2, &table, "KVM_SET_CPUID2");
}

void Vcpu::set_msrs(MsrTable msrs) {
    if (kvm_ioctl(fd_, kvm_number::set_msrs, &msrs, "KVM_SET_MSRS") == static_cast<int>(msrs.count)) return;
    errno = EINVAL;
    throw_errno("KVM_SET_MSRS: a register that this KVM does not know");
}

void Vcpu::set_local_interrupts(uint32_t lint0, uint32_t lint1) {
    constexpr std::size_t lvt0 = 0x350, lvt1 = 0x360;
    kvm_lapic_state lapic;
    kvm_ioctl(fd_, KVM_GET_LAPIC, &lapic, "KVM_GET_LAPIC");
    std::memcpy(lapic.regs + lvt0, &lint0, sizeof lint0);
    std::memcpy(lapic.regs + lvt1, &lint1, sizeof lint1);
    kvm_ioctl(fd_, KVM_SET_LAPIC, &lapic, "KVM_SET_LAPIC");
}

std::optional<uint64_t> Vcpu::translate(uint64_t address) const {
    kvm_translation translation = {};
    translation.linear_address = address;
    kvm_ioctl(fd_, KVM_TRANSLATE, &translation, "KVM_TRANSLATE");
    if (!translation.valid) return std::nullopt;
    return translation.physical_address;
}

void Vcpu::answer_read_with_ones() {
    std::memset(area_->mmio.data, 0xff, sizeof area_->mmio.data);
}

}  // namespace gpremap
