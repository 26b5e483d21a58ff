#include "vmm/sandbox/arguments.h"

namespace gpremap {

std::array<uint64_t, 6> arguments_in(const ucontext_t& context) {
    std::array<uint64_t, 6> arguments;
    for (size_t i = 0; i < arguments.size(); i++) arguments[i] = context.uc_mcontext.regs[i];
    return arguments;
}

}  // namespace gpremap
