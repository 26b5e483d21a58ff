// Orders that hand memory over, to an agent that is made up: it reads and writes the buffer as the VMM does.
#include "vmm/guests/agent/orders.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/errors.h"
#include "vmm/guests/agent/world.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uint64_t page = 4096;

Performed returned(int64_t result) {
    Performed performed{};
    performed.report.result = result;
    return performed;
}

class Memory : public CallerMemory {
  public:
    bool read(uint64_t at, void* to, std::size_t size) const override {
        std::memcpy(to, &bytes.at(at - abi::agent_base), size);
        return true;
    }
    bool write(uint64_t at, const void* from, std::size_t size) override {
        std::memcpy(&bytes.at(at - abi::agent_base), from, size);
        return true;
    }

    std::vector<std::byte> bytes = std::vector<std::byte>(abi::agent_size);
};

class OrdersTest : public testing::Test {
  protected:
    Orders orders(Orders::Perform perform) { return {memory_, std::move(perform)}; }

    void* at(uint64_t address) { return &memory_.bytes.at(address - abi::agent_base); }

    // Every page of the first `mapped` bytes is an extent of its own.
    Performed answer_query(const abi::Step& step, uint64_t mapped) {
        const uint64_t begin = step.arg[1], size = step.arg[2], buffer = step.arg[3], capacity = step.arg[4];
        const uint64_t count = (std::min(begin + size, mapped) - begin) / page;
        for (uint64_t i = 0; i < std::min(count, capacity); i++) {
            const abi::ExtentInfo extent = {begin + i * page, page, GPREMAP_PROT_READ, 0, page};
            std::memcpy(at(buffer + i * sizeof extent), &extent, sizeof extent);
        }
        return returned(static_cast<int64_t>(count));
    }

    Memory memory_;
};

TEST_F(OrdersTest, AQueryHasAllExtentsHoweverMany) {
    constexpr uint64_t extents = 10'000;
    unsigned asked = 0;
    auto queried = orders([&](unsigned vcpu, const abi::Step& step) {
                       EXPECT_EQ(vcpu, 3u);
                       asked++;
                       return answer_query(step, extents * page);
                   }).query(3, 0, 2 * extents * page);
    ASSERT_THAT(queried.extents, SizeIs(extents));
    for (uint64_t i = 0; i < extents; i++) ASSERT_EQ(queried.extents[i].at, i * page);
    EXPECT_GT(asked, 1u);
}

// Who says that there is always more gets neither for ever nor all memory.
TEST_F(OrdersTest, AQueryThatDoesNotGetOnEnds) {
    for (const uint64_t step : {uint64_t{0}, uint64_t{1}, page, ~uint64_t{0}}) {
        uint64_t asked = 0;
        const auto answer = [&](unsigned, const abi::Step& query) {
            const uint64_t capacity = query.arg[4];
            const abi::ExtentInfo last = {query.arg[1] + step, 0, GPREMAP_PROT_READ, 0, page};
            std::memcpy(at(query.arg[3] + (capacity - 1) * sizeof last), &last, sizeof last);
            EXPECT_LT(++asked, 2000u);
            return returned(static_cast<int64_t>(capacity) + 1);
        };
        EXPECT_THROW(orders(answer).query(0, 0, uint64_t{1} << 46), GuestDied) << step;
    }
}

TEST_F(OrdersTest, AQueryThatFailsIsAskedOnce) {
    unsigned asked = 0;
    auto queried = orders([&](unsigned, const abi::Step&) {
                       asked++;
                       return returned(-EINVAL);
                   }).query(0, 1, page);
    EXPECT_THAT(queried.extents, IsEmpty());
    EXPECT_EQ(queried.performed.report.result, -EINVAL);
    EXPECT_EQ(asked, 1u);
}

TEST_F(OrdersTest, ABatchOfTheGreatestLengthAndItsResults) {
    std::vector<abi::BatchCall> calls(GPREMAP_MAX_BATCH);
    for (size_t i = 0; i < calls.size(); i++) calls[i].arg[0] = i * page;
    auto batched = orders([&](unsigned, const abi::Step& step) {
                       EXPECT_EQ(step.arg[2], calls.size());
                       for (size_t i = 0; i < calls.size(); i++) {
                           abi::BatchCall call;
                           void* there = at(step.arg[1] + i * sizeof call);
                           std::memcpy(&call, there, sizeof call);
                           call.result = static_cast<int64_t>(call.arg[0]) + 1;
                           std::memcpy(there, &call, sizeof call);
                       }
                       return returned(0);
                   }).batch(0, calls);
    ASSERT_THAT(batched.results, SizeIs(calls.size()));
    for (size_t i = 0; i < calls.size(); i++)
        ASSERT_EQ(batched.results[i], static_cast<int64_t>(i * page) + 1);
}

TEST_F(OrdersTest, ABatchThatIsTooLongIsPassedOnToBeRefused) {
    const std::vector<abi::BatchCall> calls(layout::order_buffer_size);
    auto batched = orders([&](unsigned, const abi::Step& step) {
                       EXPECT_EQ(step.arg[2], calls.size());
                       return returned(-EINVAL);
                   }).batch(0, calls);
    EXPECT_THAT(batched.results, IsEmpty());
    EXPECT_EQ(batched.performed.report.result, -EINVAL);
}

// The buffer of one vCPU is no other's, nor anything that the agent has.
TEST(OrderBuffers, StandApart) {
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) {
        EXPECT_GE(layout::order_buffer(vcpu), layout::shared + layout::shared_size);
        EXPECT_LE(layout::order_buffer(vcpu) + layout::order_buffer_size, layout::order_buffer(vcpu + 1));
    }
    EXPECT_LE(layout::order_buffer(abi::max_vcpus), layout::page_tables);
}

TEST(Order, FillsInWhatTheAgentReads) {
    const abi::Step fill = order::fill(1, 2, {abi::Pattern::stamp, 3, 4});
    EXPECT_EQ(fill.op, abi::Op::fill);
    EXPECT_THAT(fill.arg, ElementsAre(1, 2, static_cast<uint64_t>(abi::Pattern::stamp), 3, 4, 0, 0, 0));
    const uint8_t code[] = {7, 8};
    const abi::Step write = order::write(9, code);
    EXPECT_EQ(write.op, abi::Op::write);
    EXPECT_EQ(write.arg[1], 2u);
    EXPECT_EQ(write.bytes[1], 8);
    EXPECT_THROW(order::write(9, std::vector<uint8_t>(abi::Step::inline_bytes + 1)), std::logic_error);
    EXPECT_THROW(order::call(abi::Call::map, std::vector<uint64_t>(7)), std::logic_error);
}

}  // namespace
}  // namespace gpremap
