// Batches of calls of every personality, with any arguments: simulated memory has what the plan says, a refused batch
// is all refused, and none comes to more changes than is stated.
#include "vmm/calls/batch.h"

#include <algorithm>
#include <vector>

#include "remap/coalesce.h"
#include "remap/model_memory.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/native_calls.h"
#include "tests/model/agreement.h"
#include "vmm/calls/catalogue.h"

namespace {

using gpremap::abi::BatchCall;

BatchCall call(fuzz::Input& input) {
    fuzz::count_call();
    BatchCall result = {};
    const std::span rows = gpremap::catalogue();
    const auto which = input.take<uint8_t>();
    result.number =
        which == 0xff ? input.take<uint64_t>() : static_cast<uint64_t>(rows[which % rows.size()].number);
    for (uint64_t& argument : result.arg) {
        const auto form = input.take<uint8_t>();
        argument = form % 3 == 0   ? input.number(fuzz::base, fuzz::granule)
                   : form % 3 == 1 ? input.number(0, fuzz::granule)
                                   : input.take<uint8_t>();
    }
    return result;
}

remap::Limits limits(fuzz::Input& input) {
    constexpr uint64_t plenty = 1000;
    remap::Limits limits;
    limits.memory = remap::Size{(1 + input.take<uint8_t>() % 32) * fuzz::granule};
    limits.locked = remap::Size{input.take<uint8_t>() % 32 * fuzz::granule};
    limits.mappings = limits.extents = 1 + input.take<uint8_t>() % 2 * plenty + input.take<uint8_t>() % 16;
    return limits;
}

void check_within(const remap::Space& space) {
    const remap::Limits& limits = space.limits();
    if (space.memory_used() > limits.memory) fuzz::fail("more memory than the limit");
    if (space.locked() > limits.locked) fuzz::fail("more is locked than the limit");
    if (space.extent_count() > limits.extents) fuzz::fail("more extents than the limit");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input(data, size);
    const auto fresh = input.take<uint8_t>() % 2 ? remap::FreshMemory::object : remap::FreshMemory::anon;
    remap::Space space(remap::Range::of(remap::Gpa{fuzz::base}, remap::Size{fuzz::slots * fuzz::granule}),
                       remap::kib4, fresh, limits(input));
    remap::ModelMemory memory(remap::kib4);
    for (int turn = 0; turn < 16 && !input.is_at_end(); turn++) {
        std::vector<BatchCall> calls(1 + input.take<uint8_t>() % 8);
        std::ranges::generate(calls, [&] { return call(input); });
        const remap::Answer answer = gpremap::plan_batch(space, calls);
        if (!answer) continue;
        if (answer->changes.size() > gpremap::most_batch_pieces) fuzz::fail("too many changes");
        for (const remap::Change& change : remap::coalesced(answer->changes)) memory.apply(change);
        space = answer->after;
        check_within(space);
        if (const std::string found = remap::disagreement(space, memory); !found.empty()) fuzz::fail(found);
    }
    return 0;
}
