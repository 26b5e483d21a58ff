#include "vmm/scenario/track_assignment.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

// After a range "a", on lines 1 to 4.
Scenario with_range(std::string_view steps) {
    return parse_scenario(
        fmt::format("[vm]\nvcpus = 4\n[[step]]\nmap = {{ name = 'a', size = '4MiB' }}\n{}", steps), "s.toml");
}

std::string error_of(std::string_view steps) {
    try {
        with_range(steps);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

TEST(Tracks, WithoutThemVcpusAreAsStated) {
    const Scenario scenario =
        with_range("[[step]]\nvcpu = 2\ntouch = { range = 'a' }\n[[step]]\nsleep = 0\n");
    EXPECT_EQ(scenario.steps[1].vcpu, 2u);
    EXPECT_EQ(scenario.steps[2].vcpu, 0u);
    EXPECT_EQ(scenario.steps[2].track_number, 0u);
}

TEST(Tracks, AllStepsOfATrackHaveItsVcpu) {
    const Scenario scenario = with_range(
        "[[step]]\ntrack = 't'\ntouch = { range = 'a' }\n[[step]]\ntrack = 't'\nvcpu = 1\nrepeat = { times = "
        "2, "
        "steps = [ { touch = { range = 'a' } } ] }\n");
    EXPECT_EQ(scenario.steps[1].vcpu, 1u);
    EXPECT_EQ(scenario.steps[1].track_number, 1u);
    const ScenarioStep& inner = std::get<RepeatAction>(scenario.steps[2].action).steps[0];
    EXPECT_EQ(inner.vcpu, 1u);
    EXPECT_EQ(inner.track, "t");
    EXPECT_EQ(inner.track_number, 1u);
}

TEST(Tracks, NoTwoShareAVcpu) {
    EXPECT_THAT(error_of("[[step]]\ntrack = 't'\ntouch = { range = 'a' }\n"),
                HasSubstr("s.toml:7: key 'step[1].touch': vCPU 0 is that of the main track (line 4)"));
    EXPECT_THAT(
        error_of("[[step]]\ntrack = 't'\nvcpu = 1\ntouch = { range = 'a' }\n[[step]]\nduring = 'x'\nvcpu = "
                 "1\ntouch = { range = 'a' }\n[[step]]\nlabel = 'x'\nsleep = 0\n"),
        HasSubstr("s.toml:11: key 'step[2].vcpu': vCPU 1 is that of track 't' (line 8)"));
    EXPECT_EQ(error_of("[[step]]\ntrack = 't'\nsleep = 0\n"), "no error") << "a sleep needs no vCPU";
}

TEST(Tracks, NoneHasTwoVcpus) {
    EXPECT_THAT(
        error_of("[[step]]\ntrack = 't'\nvcpu = 1\ntouch = { range = 'a' }\n[[step]]\ntrack = 't'\nvcpu = "
                 "2\ntouch = { range = 'a' }\n"),
        HasSubstr("s.toml:11: key 'step[2].vcpu': track 't' has vCPU 1 already"));
}

TEST(Tracks, LabelsAreThereOnce) {
    EXPECT_THAT(error_of("[[step]]\nduring = 'x'\nvcpu = 1\ntouch = { range = 'a' }\n"),
                HasSubstr("s.toml:6: key 'step[1].during': no step has the label 'x'"));
    EXPECT_THAT(error_of("[[step]]\nlabel = 'x'\nsleep = 0\n[[step]]\nlabel = 'x'\nsleep = 0\n"),
                HasSubstr("s.toml:9: key 'step[2].label': another step has the label 'x'"));
}

TEST(Tracks, StepsDoNotWaitForOneAnother) {
    EXPECT_THAT(error_of("[[step]]\nduring = 'x'\nlabel = 'x'\nsleep = 0\n"),
                HasSubstr("s.toml:6: key 'step[1].during': a circle"));
    EXPECT_THAT(error_of("[[step]]\nduring = 'y'\nlabel = 'x'\nsleep = 0\n[[step]]\nduring = 'x'\nlabel = "
                         "'y'\nsleep = 0\n"),
                HasSubstr("a circle"));
    // The step with the label comes after one that needs what is made beside it.
    EXPECT_THAT(
        error_of("[[step]]\nduring = 'x'\nvcpu = 1\nmap = { name = 'b', size = '4MiB' }\n[[step]]\ntouch = "
                 "{ range = 'b' }\n[[step]]\nlabel = 'x'\nsleep = 0\n"),
        HasSubstr("s.toml:6: key 'step[1].during': a circle"));
}

TEST(Tracks, ARepeatIsOnOneTrack) {
    EXPECT_THAT(error_of("[[step]]\nrepeat = { times = 2, steps = [ { track = 't', sleep = 0 } ] }\n"),
                HasSubstr("s.toml:6: key 'step[1].repeat.steps[0].track': a step inside of a repeat"));
    EXPECT_THAT(error_of("[[step]]\ntrack = 't'\nduring = 'x'\nsleep = 0\n"),
                HasSubstr("has a track of its own"));
    EXPECT_THAT(error_of("[[step]]\ntrack = 'sixteen_letters_'\nsleep = 0\n"),
                HasSubstr("at most 15 characters"));
}

}  // namespace
}  // namespace gpremap
