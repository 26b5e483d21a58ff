// What a deadline does when it passes, and that it does nothing otherwise.
#include "vmm/base/deadline.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

std::string what_of(std::exception_ptr cause) {
    try {
        std::rethrow_exception(cause);
    } catch (const GuestDied& death) {
        return death.what();
    }
}

TEST(DeadlineTest, SaysSoWhenItHasPassed) {
    std::promise<std::string> said;
    const Deadline deadline(0.01, "too late",
                            [&](std::exception_ptr cause) { said.set_value(what_of(cause)); });
    auto answer = said.get_future();
    ASSERT_EQ(answer.wait_for(std::chrono::seconds(30)), std::future_status::ready);
    EXPECT_EQ(answer.get(), "too late");
    EXPECT_THROW(deadline.check(), GuestDied);
}

TEST(DeadlineTest, IsQuietWhereItHasNot) {
    bool ended = false;
    const auto began = std::chrono::steady_clock::now();
    {
        const Deadline deadline(3600, "too late", [&](std::exception_ptr) { ended = true; });
        EXPECT_NO_THROW(deadline.check());
    }
    EXPECT_FALSE(ended);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
}

}  // namespace
}  // namespace gpremap
