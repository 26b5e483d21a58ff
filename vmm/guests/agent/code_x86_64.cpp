#include <elf.h>

#include <cstring>

#include "vmm/guests/agent/orders.h"
#include "vmm/guests/agent/program.h"

namespace gpremap {

// mov $value,%eax; ret
std::vector<uint8_t> order::code_returning(uint32_t value) {
    std::vector<uint8_t> code = {0xb8, 0, 0, 0, 0, 0xc3};
    std::memcpy(code.data() + 1, &value, sizeof value);
    return code;
}

const ProgramFormat program_format = {EM_X86_64, R_X86_64_RELATIVE, "x86-64"};

}  // namespace gpremap
