// Results that are read again, by `diff`, `merge`, `sweep` and `run --from`: any file is read, or refused in words.
#include <array>
#include <string>

#include "tests/fuzz/input.h"
#include "vmm/base/errors.h"
#include "vmm/report/rerun.h"
#include "vmm/results/reading.h"

namespace {

template <typename Read>
void refuse_or(Read read) {
    try {
        read();
    } catch (const gpremap::ConfigError&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr std::array schemas{gpremap::run_schema, gpremap::merge_schema, gpremap::bench_schema};
    const std::string path = fuzz::file_with(data, size);
    refuse_or([&] { gpremap::read_runs(path, schemas); });
    refuse_or([&] { gpremap::read_rerun(path); });
    return 0;
}
