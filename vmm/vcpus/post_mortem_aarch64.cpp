#include "vmm/vcpus/post_mortem.h"

namespace gpremap {

std::vector<RegisterInWords> in_words(const kvm_regs& regs, const SpecialRegisters& special) {
    static const char* const general[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
                                          "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
                                          "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
                                          "x24", "x25", "x26", "x27", "x28", "x29", "x30"};
    std::vector<RegisterInWords> registers;
    for (std::size_t i = 0; i < std::size(general); i++) registers.push_back({general[i], regs.regs.regs[i]});
    registers.insert(registers.end(), {{"sp", regs.regs.sp},
                                       {"pc", regs.regs.pc},
                                       {"pstate", regs.regs.pstate},
                                       {"elr", regs.elr_el1},
                                       {"esr", special.esr},
                                       {"far", special.far},
                                       {"ttbr0", special.ttbr0},
                                       {"sctlr", special.sctlr},
                                       {"spsr", regs.spsr[0]}});
    return registers;
}

std::string privilege(const kvm_regs& regs, const SpecialRegisters&) {
    return "EL" + std::to_string(regs.regs.pstate >> 2 & 3);
}

}  // namespace gpremap
