#include "vmm/base/interruption.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;

TEST(Interruption, LeavesANote) {
    const Interruption interruption;
    EXPECT_EQ(interruption.requested(), std::nullopt);
    EXPECT_NO_THROW(interruption.check());
    kill(getpid(), SIGTERM);
    interruption.sleep(std::chrono::seconds(30));
    EXPECT_EQ(interruption.requested(), SIGTERM);
    EXPECT_THROW(interruption.check(), Interrupted);
}

TEST(Interruption, EndsASleepEarly) {
    const Interruption interruption;
    std::thread later([] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        kill(getpid(), SIGINT);
    });
    const auto begin = Clock::now();
    interruption.sleep(std::chrono::seconds(60));
    later.join();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(50));
}

TEST(Interruption, TwiceEndsAtOnce) {
    EXPECT_EXIT(
        {
            const Interruption interruption;
            kill(getpid(), SIGINT);
            interruption.sleep(std::chrono::seconds(30));
            kill(getpid(), SIGTERM);
            std::this_thread::sleep_for(std::chrono::seconds(60));
        },
        testing::ExitedWithCode(130), "");
}

}  // namespace
}  // namespace gpremap
