#include "vmm/sandbox/arguments.h"

namespace gpremap {

std::array<uint64_t, 6> arguments_in(const ucontext_t& context) {
    constexpr int registers[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
    std::array<uint64_t, 6> arguments;
    for (size_t i = 0; i < arguments.size(); i++)
        arguments[i] = static_cast<uint64_t>(context.uc_mcontext.gregs[registers[i]]);
    return arguments;
}

}  // namespace gpremap
