// Long random sequences of native calls on sixteen granules, against the oracle after each call.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>

#include "tests/model/trial.h"

namespace oracle {
namespace {

namespace flag = remap::native::flag;

constexpr uint64_t granule = 4096;
constexpr uint64_t base = uint64_t{4} << 30;
constexpr uint64_t slots = 16;

// GPREMAP_SEED repeats a run.
uint64_t seed() {
    const char* wanted = std::getenv("GPREMAP_SEED");
    return wanted ? std::strtoull(wanted, nullptr, 0) : std::random_device{}();
}

uint64_t random_flags(std::mt19937_64& random, Kind kind) {
    constexpr std::array<uint64_t, 6> policies = {
        0, 0, flag::replace, flag::replace, flag::hint, flag::anywhere};
    bool has_destination = kind == Kind::move || kind == Kind::alias || kind == Kind::snapshot;
    uint64_t flags = kind == Kind::map || has_destination ? policies[random() % policies.size()] : 0;
    if (kind == Kind::map && random() % 4 == 0) flags |= flag::shared;
    if (kind == Kind::move && random() % 2) flags |= flag::keep_holes;
    if (kind == Kind::grow && random() % 2) flags |= flag::may_move;
    return flags;
}

Call random_call(std::mt19937_64& random) {
    // Seals stay, so they are not among them; pins are rare enough to leave something to move.
    constexpr std::array kinds = {Kind::map,     Kind::map,      Kind::unmap,    Kind::move,
                                  Kind::move,    Kind::grow,     Kind::shrink,   Kind::alias,
                                  Kind::alias,   Kind::snapshot, Kind::snapshot, Kind::exchange,
                                  Kind::protect, Kind::release,  Kind::lock,     Kind::unlock,
                                  Kind::pin,     Kind::unpin,    Kind::unpin};
    auto address = [&] { return base + random() % slots * granule; };
    Call call{kinds[random() % kinds.size()]};
    call.at = address();
    call.to = address();
    call.len = (1 + random() % 5) * granule;
    call.new_len = (1 + random() % 7) * granule;
    call.flags = random_flags(random, call.kind);
    bool may_keep = call.kind == Kind::alias || call.kind == Kind::snapshot;
    call.prot = may_keep && random() % 2 ? remap::native::prot_previous : random() % 4;
    return call;
}

void run(uint64_t first, remap::FreshMemory fresh) {
    SCOPED_TRACE("GPREMAP_SEED=" + std::to_string(first));
    std::mt19937_64 random(first);
    for (int sequence = 0; sequence < 3000; ++sequence) {
        Trial trial(base, remap::kib4, slots, fresh);
        std::string history;
        for (int turn = 0; turn < 250; ++turn) {
            Call call = random_call(random);
            history += text(call, base, granule) + "\n";
            std::string found = trial.make(call);
            if (found.empty() && turn % 16 == 0) found = trial.check_writes();
            ASSERT_EQ(found, "") << history;
            size_t slot = random() % slots;
            if (!trial.oracle().slot(slot).mapped) continue;
            trial.write(slot, random());
            history += "write to " + std::to_string(slot) + "\n";
        }
    }
}

TEST(Random, NativeCallsOnAnonymousMemory) {
    run(seed(), remap::FreshMemory::anon);
}

TEST(Random, NativeCallsOnTheObject) {
    run(seed(), remap::FreshMemory::object);
}

}  // namespace
}  // namespace oracle
