// Scenarios as TOML: any text is read, or refused in words.
#include <string>

#include "tests/fuzz/input.h"
#include "vmm/libvirt/domain.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/timeline.h"

namespace {

void parse(const std::string& text) {
    if (gpremap::is_xml(text)) return;  // the fuzzer of domains has these
    const gpremap::Scenario scenario = gpremap::parse_scenario(text, "fuzzed");
    gpremap::timeline_of(scenario.steps, scenario.machine.memory.granule);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    return fuzz::read_text(data, size, parse);
}
