#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sstream>

#include "guest/abi/aarch64.h"
#include "vmm/kvm/vcpu.h"

namespace gpremap {
namespace {

constexpr uint64_t page = 4096;

// ---- registers: one ioctl each ----

constexpr uint64_t core(std::size_t offset) {
    return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / sizeof(uint32_t);
}

// By the operands of `mrs`.
constexpr uint64_t system(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2) {
    return KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | op0 << KVM_REG_ARM64_SYSREG_OP0_SHIFT |
           op1 << KVM_REG_ARM64_SYSREG_OP1_SHIFT | crn << KVM_REG_ARM64_SYSREG_CRN_SHIFT |
           crm << KVM_REG_ARM64_SYSREG_CRM_SHIFT | op2 << KVM_REG_ARM64_SYSREG_OP2_SHIFT;
}

// What `registers` of KVM's own are: x0 ... x30, sp, pc, pstate in a row, then those of EL1.
constexpr std::size_t core_registers = offsetof(kvm_regs, fp_regs) / sizeof(uint64_t);
constexpr std::size_t spsr_of_el1 = offsetof(kvm_regs, spsr) / sizeof(uint64_t);

struct SystemRegister {
    uint64_t id;
    uint64_t SpecialRegisters::*place;
};
constexpr SystemRegister system_registers[] = {
    {system(3, 0, 1, 0, 0), &SpecialRegisters::sctlr},    {system(3, 0, 1, 0, 2), &SpecialRegisters::cpacr},
    {system(3, 0, 2, 0, 0), &SpecialRegisters::ttbr0},    {system(3, 0, 2, 0, 2), &SpecialRegisters::tcr},
    {system(3, 0, 10, 2, 0), &SpecialRegisters::mair},    {system(3, 0, 12, 0, 0), &SpecialRegisters::vbar},
    {system(3, 0, 14, 1, 0), &SpecialRegisters::cntkctl}, {system(3, 0, 5, 2, 0), &SpecialRegisters::esr},
    {system(3, 0, 6, 0, 0), &SpecialRegisters::far},      {system(3, 0, 13, 0, 4), &SpecialRegisters::tpidr},
};

uint64_t get(const Descriptor& fd, uint64_t id) {
    uint64_t value = 0;
    kvm_one_reg reg = {id, reinterpret_cast<uintptr_t>(&value)};
    kvm_ioctl(fd, KVM_GET_ONE_REG, &reg, "KVM_GET_ONE_REG");
    return value;
}

void set(const Descriptor& fd, uint64_t id, uint64_t value) {
    kvm_one_reg reg = {id, reinterpret_cast<uintptr_t>(&value)};
    kvm_ioctl(fd, KVM_SET_ONE_REG, &reg, "KVM_SET_ONE_REG");
}

using Words = std::array<uint64_t, core_registers>;

Words words_of(const kvm_regs& regs) {
    Words words;
    std::memcpy(words.data(), &regs, sizeof words);
    return words;
}

// ---- exits ----

Exit classify_mmio(kvm_run* area) {
    const auto& mmio = area->mmio;
    const uint64_t in_bell = mmio.phys_addr - GPREMAP_DOORBELL;
    if (in_bell < page && in_bell % sizeof(uint32_t) == 0)
        return exits::Io{static_cast<uint16_t>(in_bell / sizeof(uint32_t)),
                         mmio.is_write ? exits::Io::Direction::out : exits::Io::Direction::in, mmio.len, 1,
                         reinterpret_cast<std::byte*>(area->mmio.data)};
    return exits::Mmio{
        mmio.phys_addr, mmio.len, mmio.is_write ? abi::FaultKind::write : abi::FaultKind::read, {}};
}

// An instruction that the processor does not describe: of pairs, with write-back, exclusive. How much it accesses is
// for the decoder to say.
Exit classify_undescribed(const kvm_run* area) {
    constexpr uint64_t is_write = 1 << 6;
    return exits::Mmio{area->arm_nisv.fault_ipa,
                       1,
                       area->arm_nisv.esr_iss & is_write ? abi::FaultKind::write : abi::FaultKind::read,
                       {}};
}

}  // namespace

void Vcpu::prepare(const Kvm& kvm) {
    kvm_vcpu_init model = kvm.vcpu_model();
    kvm_ioctl(fd_, KVM_ARM_VCPU_INIT, &model, "KVM_ARM_VCPU_INIT");
}

void Vcpu::load_registers() {
    if (loaded_ || changed_) return;
    Words words = {};
    for (std::size_t i = 0; i <= spsr_of_el1; i++) words[i] = get(fd_, core(i * sizeof(uint64_t)));
    std::memcpy(&registers_, words.data(), sizeof words);
    stored_ = registers_;
    loaded_ = true;
}

// Only what has changed. What KVM has is not known before the first load.
void Vcpu::store_registers() {
    if (changed_) {
        const Words now = words_of(registers_), before = words_of(stored_);
        for (std::size_t i = 0; i <= spsr_of_el1; i++)
            if (!loaded_ || now[i] != before[i]) set(fd_, core(i * sizeof(uint64_t)), now[i]);
    }
    changed_ = false;
    loaded_ = false;
}

void Vcpu::set_result(uint64_t result) {
    load_registers();
    registers_.regs.regs[0] = result;
    changed_ = true;
}

SpecialRegisters Vcpu::special_registers() const {
    SpecialRegisters special;
    for (const SystemRegister& reg : system_registers) special.*reg.place = get(fd_, reg.id);
    return special;
}

void Vcpu::set_special_registers(const SpecialRegisters& special) {
    for (const SystemRegister& reg : system_registers) set(fd_, reg.id, special.*reg.place);
}

// The registers are those before the instruction, loads and stores alike.
Exit Vcpu::classify() {
    switch (area_->exit_reason) {
        case KVM_EXIT_MMIO:
            return classify_mmio(area_);
        case KVM_EXIT_ARM_NISV:
            return classify_undescribed(area_);
        case KVM_EXIT_INTR:
            return exits::Interrupted{};
        default:
            return exits::Unexpected{describe_exit()};
    }
}

std::string Vcpu::describe_exit() const {
    std::ostringstream out;
    out << "KVM exit reason " << area_->exit_reason << std::hex << std::showbase;
    if (area_->exit_reason == KVM_EXIT_MMIO)
        out << " (" << (area_->mmio.is_write ? "write to " : "read of ") << area_->mmio.phys_addr << ")";
    if (area_->exit_reason == KVM_EXIT_FAIL_ENTRY)
        out << " (entry failed, reason " << area_->fail_entry.hardware_entry_failure_reason << ")";
    return out.str();
}

// KVM goes on behind the instruction, and a load gets what is in the exit. It stores nothing itself, so no memory has
// to be hidden: what it did to the registers is overwritten.
void Vcpu::abandon_mmio(uint64_t) {
    const kvm_regs regs = registers();
    finish_exit();
    set_registers(regs);
}

bool Vcpu::can_hide_memory() const {
    return true;
}

// There is no way to it from outside: `tlbi` is the guest's.
bool Vcpu::drop_translations() {
    return false;
}

// The guest's counter is the host's, at another offset.
uint32_t Vcpu::tsc_khz() const {
    uint64_t hertz;
    asm("mrs %0, cntfrq_el0" : "=r"(hertz));
    return static_cast<uint32_t>(hertz / 1000);
}

}  // namespace gpremap
