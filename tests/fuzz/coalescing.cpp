// Coalesced changes leave memory as the same changes one by one do.
#include <vector>

#include "remap/coalesce.h"
#include "remap/model_memory.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/native_calls.h"
#include "tests/model/agreement.h"

namespace {

struct Memories {
    remap::ModelMemory one_by_one{remap::kib4}, coalesced{remap::kib4};

    void apply(const std::vector<remap::Change>& changes) {
        for (const remap::Change& change : changes) one_by_one.apply(change);
        for (const remap::Change& change : remap::coalesced(changes)) coalesced.apply(change);
    }
    void write(remap::Gpa at, uint64_t value) {
        if (!one_by_one.find(at)) return;
        one_by_one.write(at, value);
        coalesced.write(at, value);
    }
};

void compare(const Memories& memories, const remap::Space& space, const std::string& history) {
    if (memories.one_by_one.pages() != memories.coalesced.pages()) fuzz::fail(history + "other pages");
    if (memories.one_by_one.object() != memories.coalesced.object()) fuzz::fail(history + "another object");
    if (const std::string found = remap::disagreement(space, memories.coalesced); !found.empty())
        fuzz::fail(history + found);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Input input(data, size);
    const auto fresh = input.take<uint8_t>() % 2 ? remap::FreshMemory::object : remap::FreshMemory::anon;
    remap::Space space(remap::Range::of(remap::Gpa{fuzz::base}, remap::Size{fuzz::slots * fuzz::granule}),
                       remap::kib4, fresh, {});
    Memories memories;
    std::vector<remap::Change> waiting;
    std::string history;
    for (uint64_t turn = 1; turn <= 64 && !input.is_at_end(); turn++) {
        const oracle::Call call = fuzz::native_call(input);
        history += oracle::text(call, fuzz::base, fuzz::granule) + "\n";
        if (auto plan = oracle::plan(space, call)) {
            waiting.insert(waiting.end(), plan->changes.begin(), plan->changes.end());
            space = plan->after;
        }
        const auto then = input.take<uint8_t>();  // most calls wait for those behind them, as in a batch
        if (then % 4 != 0) continue;
        memories.apply(waiting);
        waiting.clear();
        compare(memories, space, history);
        memories.write(remap::Gpa{fuzz::base + then / 4 % fuzz::slots * fuzz::granule}, turn);
    }
    memories.apply(waiting);
    compare(memories, space, history);
    return 0;
}
