// Any call with any arguments, and batches and rings that somebody else rewrites while they are read.
#include <array>
#include <optional>

#include "guest/abi/ring.h"
#include "tests/vmm/hostile/hostile.h"

namespace gpremap {
namespace {

using abi::Call;

class HostileCalls : public Hostile {
  protected:
    static constexpr uint64_t likely_pages = 64;

    abi::BatchCall any_call() {
        abi::BatchCall call = {any_call_number(), {}, 0};
        const bool seals = call.number == static_cast<uint64_t>(Call::seal) ||
                           call.number == static_cast<uint64_t>(Call::linux_mseal);
        if (seals && below(100)) return {};  // what is sealed stays, and refuses all that comes later
        for (uint64_t& argument : call.arg) argument = number();
        if (call.number == static_cast<uint64_t>(Call::batch) && below(4)) {
            call.arg[0] = batch_at;
            call.arg[1] = 1 + below(32);
        }
        return call;
    }

    // Of a batch whose calls are likely to succeed, so that all of them are planned: on pages that its first call maps.
    abi::BatchCall likely_call() {
        constexpr Call kinds[] = {Call::map,      Call::protect, Call::release,
                                  Call::snapshot, Call::alias,   Call::exchange};
        const Call kind = kinds[below(std::size(kinds))];
        const uint64_t pages = 1 + below(8), size = pages * page, prot = 2 * below(4) + GPREMAP_PROT_READ;
        const uint64_t at = base + below(likely_pages / 2 - pages) * page, to = at + likely_pages / 2 * page;
        abi::BatchCall call = {static_cast<uint64_t>(kind), {at, size}, 0};
        if (kind == Call::map) std::ranges::copy(std::array{prot, GPREMAP_FLAG_REPLACE}, call.arg + 2);
        if (kind == Call::protect) call.arg[2] = prot;
        if (kind == Call::snapshot || kind == Call::alias)
            std::ranges::copy(std::array{to, size, prot, GPREMAP_FLAG_REPLACE}, call.arg + 1);
        if (kind == Call::exchange) std::ranges::copy(std::array{to, size}, call.arg + 1);
        return call;
    }

    void write_batch(uint64_t at, const std::vector<abi::BatchCall>& calls) {
        ASSERT_TRUE(machine_->guest().write(at, calls.data(), calls.size() * sizeof calls[0]));
    }

    void write_any_batch() {
        std::vector<abi::BatchCall> calls(32);
        std::ranges::generate(calls, [this] { return any_call(); });
        write_batch(batch_at, calls);
    }

    // Each of its calls counts where all were made: how far one that fails had come, nobody says.
    void make_likely_batch() {
        std::vector<abi::BatchCall> calls(GPREMAP_MAX_BATCH);
        std::ranges::generate(calls, [this] { return likely_call(); });
        calls[0] = {
            static_cast<uint64_t>(Call::map), {base, likely_pages * page, rw, GPREMAP_FLAG_REPLACE}, 0};
        write_batch(undisturbed_batch_at, calls);
        const int64_t result = machine_->call(Call::batch, {undisturbed_batch_at, calls.size()}).result;
        done_ += result == 0 ? calls.size() : 1;
    }

    // Has the guest fill in what is mapped somewhere. False where it has died: a query can write over its page tables.
    bool touch_something(const std::vector<MapEntry>& map) {
        if (map.empty()) return true;
        const MapEntry& entry = map[below(map.size())];
        try {
            perform(step(abi::Op::touch, entry.at, std::min(entry.size, 4 * large), below(2), page));
        } catch (const GuestDied&) {
            return false;
        }
        return true;
    }

    // A machine of its own, and so many calls.
    void make_calls(uint64_t seed) {
        const bool has_ring = boot_guest(seed, 2);
        Rewriter of_batch(machine_->guest().own_memory(batch_at, batch_size), batch_size, seed);
        std::optional<Rewriter> of_ring;
        if (has_ring && below(2)) {
            perform(call(Call::unmap, base, page), 1);  // the first call that goes through it sets it up
            of_ring.emplace(machine_->guest().own_memory(abi::rings + abi::ring_stride, sizeof(gpremap_ring)),
                            sizeof(gpremap_ring), ~seed);
        }
        bool lives = true;
        for (int burst = 0; burst < 20 && lives; burst++) {
            for (int i = 0; i < 50; i++, done_++) {
                if (below(8) == 0) write_any_batch();
                const abi::BatchCall call = any_call();
                machine_->call(static_cast<Call>(call.number), std::to_array(call.arg));
            }
            if (below(20) == 0) make_likely_batch();
            lives = touch_something(machine_->remapper().map());
        }
        if (!of_ring && lives) {
            const int64_t found = machine_->call(Call::query, {base, aperture, batch_at, 0}).result;
            EXPECT_EQ(found, static_cast<int64_t>(machine_->remapper().map().size()));
        }
        expect_accounts();
    }
};

TEST_F(HostileCalls, AreAnswered) {
    repeat([this](uint64_t seed) { make_calls(seed); });
}

}  // namespace
}  // namespace gpremap
