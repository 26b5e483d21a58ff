#include "vmm/scenario/missing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

// The last step after two ranges, "a" and "b"; `before` may define more.
ScenarioStep step(std::string_view text, std::string_view before = "") {
    const Scenario scenario =
        parse_scenario(fmt::format("[[step]]\nmap = {{ name = 'a', at = '8GiB', size = '4MiB' }}\n"
                                   "[[step]]\nmap = {{ name = 'b', at = '9GiB', size = '4MiB' }}\n{}\n"
                                   "[[step]]\n{}\n",
                                   before, text),
                       "s.toml");
    return scenario.steps.back();
}

const char* const map_c = "map = { name = 'c', at = '10GiB', size = '4MiB' }";

TEST(Missing, IsWhatAFailedStepWouldHaveMade) {
    Missing missing;
    EXPECT_EQ(missing.needed_by(step("touch = { range = 'a' }")), std::nullopt);
    missing.not_made(step(map_c), 7);
    const std::string before = std::string("[[step]]\n") + map_c;
    for (const char* needs :
         {"touch = { range = 'c' }", "fill = { range = 'c', with = 'a' }", "copy = { from = 'a', to = 'c' }",
          "copy = { from = 'c', to = 'a' }", "access = { range = 'c', kind = 'read' }",
          "exec = { range = 'a', through = 'c', returns = 1 }", "unmap = { range = 'c' }",
          "move = { range = 'a', to = 'c+64MiB' }", "alias = { range = 'c', name = 'd' }",
          "batch = [ { seal = { range = 'a' } }, { seal = { range = 'c' } } ]",
          "inflate = { range = 'c', from = '4MiB', to = '8MiB', seconds = 0, steps = 1 }",
          "move = { range = 'a', to = '11GiB' }\nexpect = { at = 'c+1GiB' }",
          "access = { range = 'a', kind = 'read' }\nexpect = { fault = { kind = 'read', address = 'c' } }"})
        EXPECT_EQ(missing.needed_by(step(needs, before)), 7u) << needs;
    for (const char* needs : {"touch = { range = 'b' }", "touch = { at = '10GiB', size = '4KiB' }",
                              "sleep = 0", "checkpoint = true"})
        EXPECT_EQ(missing.needed_by(step(needs, before)), std::nullopt) << needs;
}

TEST(Missing, IsNothingThatALaterStepMakes) {
    Missing missing;
    missing.not_made(step(map_c), 7);
    missing.made(step(map_c));
    EXPECT_EQ(missing.needed_by(step("touch = { range = 'c' }", std::string("[[step]]\n") + map_c)),
              std::nullopt);
}

// A batch may name what it has just defined itself.
TEST(Missing, ABatchBringsItsOwn) {
    Missing missing;
    missing.not_made(step(map_c), 7);
    const ScenarioStep batch = step(std::string("batch = [ { ") + map_c + " }, { seal = { range = 'c' } } ]");
    EXPECT_EQ(missing.needed_by(batch), std::nullopt);
}

}  // namespace
}  // namespace gpremap
