#include "vmm/guests/linux/processor_x86_64.h"

#include <cpuid.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

namespace gpremap {
namespace {

// Bits of CPUID.
constexpr uint32_t leaf1_tsc_deadline = 1u << 24, leaf1_x2apic = 1u << 21, leaf1_hypervisor = 1u << 31;
constexpr uint32_t leaf1_threads = 1u << 28;  // of edx
constexpr uint32_t leaf1_xsave = 1u << 26, leaf1_osxsave = 1u << 27, leaf1_avx = 1u << 28,
                   leaf1_fma = 1u << 12, leaf1_f16c = 1u << 29;
constexpr uint32_t leaf7_avx2 = 1u << 5;                                                    // of ebx
constexpr uint32_t leaf7_pku = 1u << 3, leaf7_vaes = 1u << 9, leaf7_vpclmulqdq = 1u << 10;  // of ecx

// QEMU's emulated processor offers a nested guest more extended state than it can switch.
bool host_is_emulated() {
    constexpr uint32_t hypervisor_name = 0x40000000;
    uint32_t eax = 0, name[3] = {};
    __cpuid(hypervisor_name, eax, name[0], name[1], name[2]);
    return std::memcmp(name, "TCGTCGTCGTCG", sizeof name) == 0;
}

void hide_extended_state(kvm_cpuid_entry2& entry) {
    if (entry.function == 1) entry.ecx &= ~(leaf1_xsave | leaf1_osxsave | leaf1_avx | leaf1_fma | leaf1_f16c);
    if (entry.function == 7 && entry.index == 0) {
        entry.ebx &= ~leaf7_avx2;
        entry.ecx &= ~(leaf7_pku | leaf7_vaes | leaf7_vpclmulqdq);
    }
    if (entry.function == 0xd) entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
}

// Of all that a guest reaches of KVM, guests of its own would be the most, and none needs them.
void hide_virtualization(kvm_cpuid_entry2& entry) {
    constexpr uint32_t leaf1_vmx = 1u << 5, extended_leaf1_svm = 1u << 2;
    if (entry.function == 1) entry.ecx &= ~leaf1_vmx;
    if (entry.function == 0x80000001) entry.ecx &= ~extended_leaf1_svm;
}

// One package, a core for each vCPU.
void describe_topology(kvm_cpuid_entry2& entry, unsigned vcpu, unsigned vcpus) {
    constexpr uint32_t thread_level = 1, core_level = 2;
    if (entry.function == 1) {
        entry.ebx = (entry.ebx & 0xffff) | vcpus << 16 | vcpu << 24;
        entry.edx |= vcpus > 1 ? leaf1_threads : 0;
        entry.ecx |= leaf1_hypervisor | leaf1_tsc_deadline | leaf1_x2apic;
    }
    if (entry.function == 0xb) {
        entry.eax = entry.index == 0 ? 0 : std::bit_width(vcpus - 1);
        entry.ebx = entry.index == 0 ? 1 : vcpus;
        entry.ecx = entry.index | (entry.index == 0 ? thread_level : core_level) << 8;
        entry.edx = vcpu;
    }
    if (entry.function == 0x80000008) entry.ecx = (entry.ecx & ~0xffu) | (vcpus - 1);
}

}  // namespace

CpuidTable cpuid_of(const CpuidTable& supported, unsigned vcpu, unsigned vcpus) {
    CpuidTable table = supported;
    const bool is_emulated = host_is_emulated();
    for (kvm_cpuid_entry2& entry : std::span(table.entries, table.count)) {
        describe_topology(entry, vcpu, vcpus);
        hide_virtualization(entry);
        if (is_emulated) hide_extended_state(entry);
    }
    return table;
}

void prepare_processor(Vcpu& state, const CpuidTable& supported, unsigned vcpu, unsigned vcpus) {
    constexpr uint32_t misc_enable = 0x1a0, mtrr_default = 0x2ff;
    constexpr uint64_t fast_strings = 1, mtrrs_on_write_back = 0x806;
    constexpr uint32_t external_interrupts = 0x700, nmi = 0x400;
    state.set_cpuid(cpuid_of(supported, vcpu, vcpus));
    MsrTable msrs = {};
    msrs.count = 2;
    msrs.entries[0].index = misc_enable;
    msrs.entries[0].data = fast_strings;
    // Otherwise every mapping of what is no RAM is uncached, and the aperture is none.
    msrs.entries[1].index = mtrr_default;
    msrs.entries[1].data = mtrrs_on_write_back;
    state.set_msrs(msrs);
    state.set_local_interrupts(external_interrupts, nmi);
}

}  // namespace gpremap
