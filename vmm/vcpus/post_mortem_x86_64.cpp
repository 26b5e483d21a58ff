#include "vmm/vcpus/post_mortem.h"

namespace gpremap {

std::vector<RegisterInWords> in_words(const kvm_regs& regs, const SpecialRegisters& special) {
    return {
        {"rax", regs.rax}, {"rbx", regs.rbx},    {"rcx", regs.rcx},    {"rdx", regs.rdx},
        {"rsi", regs.rsi}, {"rdi", regs.rdi},    {"rbp", regs.rbp},    {"rsp", regs.rsp},
        {"r8", regs.r8},   {"r9", regs.r9},      {"r10", regs.r10},    {"r11", regs.r11},
        {"r12", regs.r12}, {"r13", regs.r13},    {"r14", regs.r14},    {"r15", regs.r15},
        {"rip", regs.rip}, {"cr2", special.cr2}, {"cr3", special.cr3}, {"rflags", regs.rflags},
    };
}

std::string privilege(const kvm_regs&, const SpecialRegisters& special) {
    return "ring " + std::to_string(special.cs.selector & 3);
}

}  // namespace gpremap
