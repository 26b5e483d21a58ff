// Case files: any text is read, or refused in words.
#include <string>

#include "tests/fuzz/input.h"
#include "vmm/cases/reading.h"

namespace {

void parse(const std::string& text) {
    gpremap::parse_cases(text, "fuzzed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz::read_text(data, size, parse);
}
