// What a kernel is told of the processor that it runs on, and the state of its local APIC.
#pragma once

#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"

namespace gpremap {

// `supported` as vCPU `vcpu` of `vcpus` has it: its number and its neighbours, and the features of a VM.
CpuidTable cpuid_of(const CpuidTable& supported, unsigned vcpu, unsigned vcpus);

// CPUID, MTRRs and local interrupts, before the vCPU's first entry. Throws std::system_error.
void prepare_processor(Vcpu& state, const CpuidTable& supported, unsigned vcpu, unsigned vcpus);

}  // namespace gpremap
