// What KVM's interface has of the processor. The only place in vmm that asks which it is; all else of it is in files
// that end in its name.
//
//     VcpuModel             what a vCPU is made as
//     SpecialRegisters      those that an operating system sets
//     instruction_address   where the vCPU is
//     pause_briefly         what a thread of the host does between two looks
//
// kvm_regs, KVM's own, are the registers that a program has.
#pragma once

#ifdef __aarch64__
#include "vmm/kvm/kvm_aarch64.h"
#else
#include "vmm/kvm/kvm_x86_64.h"
#endif
