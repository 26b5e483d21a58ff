// Case files: any text is read, or refused in words.
#include <string>

#include "vmm/base/errors.h"
#include "vmm/cases/reading.h"

namespace {

void read(const std::string& text) {
    gpremap::parse_cases(text, "fuzzed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        read({reinterpret_cast<const char*>(data), size});
    } catch (const gpremap::ConfigError&) {
    }
    return 0;
}
