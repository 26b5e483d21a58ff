// The planner: what it plans is what the oracle expects, for any arguments, and simulated memory has it.
#include "tests/fuzz/input.h"
#include "tests/fuzz/native_calls.h"
#include "tests/model/trial.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input(data, size);
    const auto kind = input.take<uint8_t>();
    oracle::Trial trial(fuzz::base, remap::kib4, fuzz::slots,
                        kind % 2 ? remap::FreshMemory::object : remap::FreshMemory::anon);
    std::string history;
    for (uint64_t turn = 1; turn <= 64 && !input.is_at_end(); turn++) {
        const oracle::Call call = fuzz::native_call(input);
        history += oracle::text(call, fuzz::base, fuzz::granule) + "\n";
        if (const std::string found = trial.make(call); !found.empty()) fuzz::fail(history + found);
        const size_t slot = input.take<uint8_t>() % fuzz::slots;
        if (trial.oracle().slot(slot).mapped) trial.write(slot, turn);
    }
    if (const std::string found = trial.check_writes(); !found.empty()) fuzz::fail(history + found);
    return 0;
}
