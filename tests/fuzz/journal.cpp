// Results and journals as pages show them: any file is shown, or refused in words.
#include "tests/fuzz/input.h"
#include "vmm/page/contents.h"
#include "vmm/page/reading.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const auto runs = gpremap::read_shown_runs({fuzz::file_with(data, size)});
        try {
            gpremap::contents_of(runs, gpremap::Following::no);
        } catch (const gpremap::JsonObject::exception&) {  // which `report` says in words
        }
    } catch (const gpremap::ConfigError&) {
    }
    return 0;
}
