#include "vmm/machine/floor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

namespace gpremap {
namespace {

using std::chrono::milliseconds;

void look_at_nothing() {}
bool never() {
    return false;
}

TEST(Floor, StepsAreSideBySideAndACallAlone) {
    Floor floor;
    std::atomic<int> steps = 0, calls = 0, most_steps = 0;
    std::vector<std::thread> threads;
    for (int track = 0; track < 3; track++)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; i++) {
                const auto turn = floor.step(look_at_nothing);
                most_steps = std::max(most_steps.load(), ++steps);
                EXPECT_EQ(calls, 0);
                std::this_thread::sleep_for(milliseconds(1));
                steps--;
            }
        });
    for (int caller = 0; caller < 2; caller++)
        threads.emplace_back([&] {
            for (int i = 0; i < 50; i++) {
                const auto turn = floor.alone(never);
                EXPECT_EQ(++calls, 1);
                EXPECT_EQ(steps, 0);
                calls--;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(most_steps, 1);
}

TEST(Floor, NeitherKeepsTheOtherOutForEver) {
    Floor floor;
    std::atomic<bool> is_over = false;
    std::vector<std::thread> busy;
    for (int i = 0; i < 2; i++) {
        busy.emplace_back([&] {
            while (!is_over) const auto turn = floor.step(look_at_nothing);
        });
        busy.emplace_back([&] {
            while (!is_over) const auto turn = floor.alone(never);
        });
    }
    for (int i = 0; i < 100; i++) {
        EXPECT_TRUE(floor.alone(never));
        floor.step(look_at_nothing);
    }
    is_over = true;
    for (std::thread& thread : busy) thread.join();
}

TEST(Floor, WhoGivesUpIsInNobodysWay) {
    Floor floor;
    auto step = std::make_optional(floor.step(look_at_nothing));
    EXPECT_FALSE(floor.alone([] { return true; }));
    floor.step(look_at_nothing);  // would wait for a call that waits
    step.reset();
    auto call = floor.alone(never);
    EXPECT_THROW(floor.step([] { throw std::runtime_error("the end"); }), std::runtime_error);
    call.reset();
    EXPECT_TRUE(floor.alone(never));
}

}  // namespace
}  // namespace gpremap
