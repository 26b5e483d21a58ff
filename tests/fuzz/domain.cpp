// Domains of libvirt: any text is read, or refused in words.
#include "vmm/libvirt/domain.h"

#include <string>

#include "tests/fuzz/input.h"

namespace {

void parse(const std::string& text) {
    gpremap::parse_domain(text, "fuzzed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz::read_text(data, size, parse);
}
