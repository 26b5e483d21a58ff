// Who makes the calls of clients, and what they hand over.
#include "vmm/control/callers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "vmm/control/protocol.h"

namespace gpremap {
namespace {

using testing::ElementsAre;

// Memory of a guest that is as large as what was written.
struct Written : CallerMemory {
    bool read(uint64_t at, void* to, size_t size) const override {
        const auto found = at_.find(at);
        if (found == at_.end() || found->second.size() < size) return false;
        std::memcpy(to, found->second.data(), size);
        return true;
    }
    bool write(uint64_t at, const void* from, size_t size) override {
        at_[at].assign(static_cast<const char*>(from), size);
        return true;
    }
    std::map<uint64_t, std::string> at_;
};

abi::BatchCall call_of(abi::Call number, uint64_t first) {
    return {static_cast<uint64_t>(number), {first, 4096, 0, 0, 0, 6}, 0};
}

// Each call of the batch returns ten times its first argument.
void make_batch(CallerMemory& memory, uint64_t at, uint64_t count) {
    std::vector<abi::BatchCall> calls(count);
    ASSERT_TRUE(memory.read(at, calls.data(), count * sizeof calls[0]));
    for (abi::BatchCall& call : calls) call.result = static_cast<int64_t>(call.arg[0] * 10);
    ASSERT_TRUE(memory.write(at, calls.data(), count * sizeof calls[0]));
}

TEST(HostCaller, MakesThemItself) {
    std::vector<abi::Call> made;
    const HostCaller caller([&](CallerMemory& memory, abi::Call number, const std::array<uint64_t, 6>& args) {
        made.push_back(number);
        if (number == abi::Call::batch) make_batch(memory, args[0], args[1]);
        return Called{number == abi::Call::batch ? 0 : static_cast<int64_t>(args[0] + args[5]), {}};
    });
    const MadeCalls one = caller.call(call_of(abi::Call::unmap, 8));
    EXPECT_EQ(one.result, 14);
    EXPECT_TRUE(one.record);
    const abi::BatchCall calls[] = {call_of(abi::Call::map, 1), call_of(abi::Call::map, 2)};
    EXPECT_THAT(caller.batch(calls).results, ElementsAre(10, 20));
    EXPECT_THAT(made, ElementsAre(abi::Call::unmap, abi::Call::batch));
}

TEST(HostCaller, BatchThatIsRefusedHasNoResults) {
    const HostCaller caller([](CallerMemory&, abi::Call, const std::array<uint64_t, 6>&) {
        return Called{-ENOMEM, {}};
    });
    const abi::BatchCall calls[] = {call_of(abi::Call::map, 1)};
    const MadeCalls made = caller.batch(calls);
    EXPECT_EQ(made.result, -ENOMEM);
    EXPECT_TRUE(made.results.empty());
}

TEST(GuestCaller, HasTheGuestMakeThem) {
    Written memory;
    std::vector<unsigned> vcpus;
    const GuestCaller caller(
        memory,
        [&](unsigned vcpu, const abi::Step& step) {
            vcpus.push_back(vcpu);
            Performed done = {};
            const bool is_batch = step.arg[0] == static_cast<uint64_t>(abi::Call::batch);
            if (is_batch) make_batch(memory, step.arg[1], step.arg[2]);
            done.report.result = is_batch ? 0 : static_cast<int64_t>(step.arg[1] + step.arg[6]);
            done.call.emplace();
            return done;
        },
        3);
    const MadeCalls one = caller.call(call_of(abi::Call::unmap, 8));
    EXPECT_EQ(one.result, 14);
    EXPECT_TRUE(one.record);
    const abi::BatchCall calls[] = {call_of(abi::Call::map, 1), call_of(abi::Call::map, 2)};
    EXPECT_THAT(caller.batch(calls).results, ElementsAre(10, 20));
    EXPECT_THAT(vcpus, ElementsAre(3u, 3u));
}

// Whatever the agent says, as for a step: what it did not get through has failed, and so has a batch without results.
TEST(GuestCaller, DoesNotTakeWhatMakesNoSenseForSuccess) {
    Written memory;
    Performed said = {};
    const GuestCaller caller(
        memory, [&](unsigned, const abi::Step&) { return said; }, 0);
    const abi::BatchCall calls[] = {call_of(abi::Call::map, 1)};
    said.report.outcome = abi::Outcome::fault;
    EXPECT_EQ(caller.call(calls[0]).result, -EFAULT);
    EXPECT_EQ(caller.batch(calls).result, -EFAULT);
    said.report.outcome = abi::Outcome::ok;
    for (const int64_t nonsense : {5, -5000}) {
        said.report.result = nonsense;
        EXPECT_EQ(caller.batch(calls).result, -EFAULT);
    }
    said.report.result = -ENOMEM;
    EXPECT_EQ(caller.batch(calls).result, -ENOMEM);
}

TEST(GuestCaller, NeedsAVcpuForIt) {
    Written memory;
    const GuestCaller caller(memory, {}, std::nullopt);
    try {
        caller.call(call_of(abi::Call::unmap, 8));
        FAIL() << "was made by nobody";
    } catch (const CallError& error) {
        EXPECT_EQ(error.code, ErrorCode::refused);
        EXPECT_EQ(error.data.at("errno"), "EBUSY");
    }
}

}  // namespace
}  // namespace gpremap
