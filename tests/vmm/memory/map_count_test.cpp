// Calls when the process has nearly all the mappings that Linux allows it (vm.max_map_count): each works, or
// is ENOMEM and has changed nothing.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;

// Mappings of this process that nobody needs.
class Crowd {
  public:
    Crowd() : at_(mmap(nullptr, size, PROT_NONE, flags, -1, 0)) {}
    ~Crowd() { munmap(at_, size); }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    // Makes mappings, a neighbour of other rights each, until the process may have only `room` more.
    void leave(size_t room) {
        while (protect(made_, PROT_READ)) made_ += 2;
        for (size_t freed = 0; freed < room && made_ > 0; freed += 2) protect(made_ -= 2, PROT_NONE);
    }

  private:
    bool protect(size_t page_number, int prot) {
        return mprotect(static_cast<std::byte*>(at_) + page_number * page, page, prot) == 0;
    }

    static constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    static constexpr size_t size = 4 * gib;  // more pages than any process may have mappings
    void* at_;
    size_t made_ = 1;
};

class MapCountTest : public KvmTestWith<Mechanism> {};

constexpr uint64_t far = base + gib;

// A range of three pieces, in pages with letters, and one more elsewhere.
void lay_out(Machine& machine) {
    machine.perform(0, call(Call::map, base, 16 * page, rw));
    machine.perform(0, call(Call::map, far, 16 * page, rw));
    machine.perform(0, step(abi::Op::fill, base, 16 * page, 0, 'a'));
    machine.perform(0, step(abi::Op::fill, far, 16 * page, 0, 'b'));
    machine.perform(0, call(Call::alias, base + 4 * page, far + gib, 4 * page, rw));
}

std::vector<abi::Step> calls() {
    return {
        call(Call::unmap, base + 5 * page, page),
        call(Call::protect, base + 2 * page, 10 * page, GPREMAP_PROT_READ),
        call(Call::move, base + 2 * page, far + 2 * gib, 9 * page, 0),
        call(Call::move, base, base + 3 * page, 16 * page, 0),
        call(Call::exchange, base, far, 16 * page),
        call(Call::snapshot, base + page, far + 2 * gib, 8 * page, rw, 0),
        call(Call::alias, base + page, far + 2 * gib, 8 * page, rw, 0),
        call(Call::release, base + page, 8 * page),
        call(Call::linux_mmap, base + 3 * page, 3 * page, rw, 0x32),  // fixed, private, anonymous
    };
}

TEST_P(MapCountTest, CallsWorkOrChangeNothing) {
    constexpr size_t enough = 1000;  // for a machine to boot
    size_t refused = 0, done = 0;
    Crowd crowd;
    for (size_t which = 0; which < calls().size(); which++)
        for (size_t room = 0; room < 24; room += 5) {
            SCOPED_TRACE(testing::Message() << "call " << which << ", room for " << room);
            crowd.leave(enough);
            Machine machine(config_of({GetParam(), Backing::anon}, 1, 8 * gib));
            lay_out(machine);
            const size_t extents = machine.remapper().map().size();
            crowd.leave(room);
            int64_t result = machine.perform(0, calls()[which]).report.result;
            (result < 0 ? refused : done)++;
            if (result >= 0) continue;
            EXPECT_EQ(result, -ENOMEM);
            EXPECT_EQ(machine.remapper().map().size(), extents);
            for (uint64_t at : {base, far})
                EXPECT_EQ(machine.perform(0, step(abi::Op::verify, at, 16 * page, 0, at == base ? 'a' : 'b'))
                              .report.outcome,
                          abi::Outcome::ok);
        }
    EXPECT_GT(refused, 0u);
    EXPECT_GT(done, 0u);
}

// Two ranges that are mapped by turns alternate on the host, too, so that each page of one that goes would leave two
// mappings where there was one: more than the process may have, when the call cannot be undone any more.
TEST_P(MapCountTest, ACallThatHasSucceededEndsWithoutAnyMore) {
    constexpr uint64_t pages = 400;
    Crowd crowd;
    crowd.leave(2000);
    Machine machine(config_of({GetParam(), Backing::anon}, 1, 8 * gib));
    for (uint64_t i = 0; i < pages; i++)
        for (uint64_t at : {base, far})
            ASSERT_GE(machine.perform(0, call(Call::map, at + i * page, page, rw)).report.result, 0);
    machine.perform(0, step(abi::Op::fill, far, pages * page, 0, 'y'));
    crowd.leave(24);
    EXPECT_EQ(machine.perform(0, call(Call::unmap, base, pages * page)).report.result, 0);
    EXPECT_EQ(machine.perform(0, step(abi::Op::verify, far, pages * page, 0, 'y')).report.outcome,
              abi::Outcome::ok);
    // What comes to the places that were kept reads zero.
    crowd.leave(2000);
    ASSERT_GE(machine.perform(0, call(Call::map, base, pages * page, rw)).report.result, 0);
    EXPECT_EQ(machine.perform(0, step(abi::Op::verify, base, pages * page, 0, 0)).report.outcome,
              abi::Outcome::ok);
}

class PieceLimitTest : public MapCountTest {};

// What has been shared once stays in pieces of its own, though the guest sees one extent.
TEST_P(PieceLimitTest, PiecesThatNobodySeesAreLimitedToo) {
    Machine machine(config_of({GetParam(), Backing::anon}, 1, 8 * gib));
    constexpr uint64_t pages = 40000;
    constexpr uint64_t pairs = GPREMAP_MAX_BATCH / 2;
    machine.perform(0, call(Call::map, base, 2 * pages * page, rw));
    int64_t result = 0;
    uint64_t number = 0;
    for (; result == 0 && number < pages; number += pairs) {
        std::vector<abi::BatchCall> calls;
        for (uint64_t i = number; i < number + pairs; i++) {
            calls.push_back({static_cast<uint64_t>(Call::alias), {base + 2 * i * page, far, page, rw, 0}, 0});
            calls.push_back({static_cast<uint64_t>(Call::unmap), {far, page}, 0});
        }
        ASSERT_TRUE(machine.guest().write(layout::shared, calls.data(), calls.size() * sizeof calls[0]));
        result = machine.perform(0, call(Call::batch, layout::shared, calls.size())).report.result;
    }
    EXPECT_EQ(result, -ENOMEM);
    EXPECT_GT(number, 10000u);
    EXPECT_EQ(machine.remapper().map().size(), 1u);
    for (const abi::Step& each : {call(Call::protect, base + page, page, GPREMAP_PROT_READ),
                                  call(Call::move, base, far, page, 0), call(Call::unmap, base + page, page)})
        machine.perform(0, each);  // ENOMEM, or done: the VM goes on
    EXPECT_EQ(machine.perform(0, call(Call::unmap, base + 4 * page, (2 * pages - 4) * page)).report.result,
              0);
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, MapCountTest,
                         testing::Values(Mechanism::window, Mechanism::memslot, Mechanism::automatic),
                         name_of_mechanism);
INSTANTIATE_TEST_SUITE_P(Mechanisms, PieceLimitTest, testing::Values(Mechanism::window), name_of_mechanism);

}  // namespace
}  // namespace gpremap
