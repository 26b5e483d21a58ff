#include <elf.h>

#include <cstring>

#include "vmm/guests/agent/orders.h"
#include "vmm/guests/agent/program.h"

namespace gpremap {

// mov w0, #value; ret
std::vector<uint8_t> order::code_returning(uint32_t value) {
    const uint32_t words[] = {0x52800000 | (value & 0xffff) << 5, 0x72a00000 | (value >> 16) << 5,
                              0xd65f03c0};
    std::vector<uint8_t> code(sizeof words);
    std::memcpy(code.data(), words, sizeof words);
    return code;
}

const ProgramFormat program_format = {EM_AARCH64, R_AARCH64_RELATIVE, "aarch64"};

}  // namespace gpremap
