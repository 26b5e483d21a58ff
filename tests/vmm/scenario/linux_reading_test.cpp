// plug, unplug, command: as they are read, and who may have them.
#include "vmm/scenario/linux_reading.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

Scenario parse(const std::string& steps) {
    return parse_scenario("[vm]\nguest = \"linux\"\n" + steps, "s.toml");
}

std::string complaint_about(const std::string& text) {
    try {
        parse_scenario(text, "s.toml");
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

std::string of_linux(const std::string& step) {
    return complaint_about("[vm]\nguest = \"linux\"\n[[step]]\n" + step);
}

TEST(LinuxSteps, AreRead) {
    const Scenario scenario = parse(
        "[[step]]\nplug = { size = \"1GiB\", name = \"more\" }\n"
        "[[step]]\nunplug = { name = \"more\", size = \"256MiB\", within = \"500ms\", partly = true }\n"
        "[[step]]\nunplug = { name = \"more\" }\n"
        "[[step]]\ncommand = { run = \"false\", expect_status = 1 }\n"
        "[[step]]\ncommand = { run = \"x\", expect_status = \"any\" }\n");
    EXPECT_EQ(std::get<PlugAction>(scenario.steps.at(0).action).size, 1ull << 30);
    const auto& part = std::get<UnplugAction>(scenario.steps.at(1).action);
    EXPECT_EQ(part.size, 256ull << 20);
    EXPECT_EQ(part.within, 0.5);
    EXPECT_TRUE(part.partly);
    EXPECT_EQ(std::get<UnplugAction>(scenario.steps.at(2).action).size, std::nullopt);
    EXPECT_EQ(std::get<CommandAction>(scenario.steps.at(3).action).status, 1);
    EXPECT_EQ(std::get<CommandAction>(scenario.steps.at(4).action).status, std::nullopt);
}

TEST(LinuxSteps, AreALinuxGuests) {
    for (const std::string step :
         {"plug = { size = \"1GiB\", name = \"m\" }", "command = { run = \"true\" }"})
        EXPECT_THAT(complaint_about("[[step]]\n" + step), HasSubstr("use --guest linux")) << step;
    Overrides overrides;
    overrides.guest = GuestKind::linux;
    EXPECT_NO_THROW(parse_scenario("[[step]]\ncommand = { run = \"true\" }\n", "s.toml", overrides));
}

TEST(LinuxSteps, SayWhatIsWrong) {
    EXPECT_THAT(of_linux("unplug = { name = \"m\" }"), HasSubstr("no earlier step plugs 'm'"));
    EXPECT_THAT(of_linux("plug = { name = \"m\" }"), HasSubstr("how much"));
    EXPECT_THAT(of_linux("plug = { size = 0, name = \"m\" }"), HasSubstr("more than 0"));
    EXPECT_THAT(of_linux("command = { run = \"\" }"), HasSubstr("a command of 1 to 65535 bytes"));
    EXPECT_THAT(of_linux("command = { run = \"a\", expect_status = 256 }"), HasSubstr("255"));
    EXPECT_THAT(of_linux("repeat = { times = 2, steps = [{ unplug = { name = \"m\" } }] }"),
                HasSubstr("no earlier step plugs"));
}

std::string of_background(const std::string& more, const std::string& steps = "") {
    return complaint_about("[vm]\nguest = \"linux\"\nvcpus = 2\n[[step]]\n" + more +
                           "\ncommand = { run = \"top\", background = true }\n" + steps);
}

TEST(LinuxSteps, InTheBackgroundEndTheirTrack) {
    const std::string other = "[[step]]\ncommand = { run = \"true\" }\n";
    const std::string same_track = other + "track = \"t\"\n";
    EXPECT_EQ(of_background("track = \"t\"\nvcpu = 1", other), "");
    EXPECT_EQ(of_background("during = \"d\"\nvcpu = 1", other + "label = \"d\"\n"), "");
    EXPECT_THAT(of_background(""), HasSubstr("until all other steps have ended: expected a `track`"));
    EXPECT_THAT(of_background("track = \"t\"\nvcpu = 1", same_track),
                HasSubstr("the step of line 9 follows it on its track"));
    EXPECT_THAT(
        of_linux("track = \"t\"\nvcpu = 1\nrepeat = { times = 2, steps = [{ command = { run = \"top\", "
                 "background = true } }] }"),
        HasSubstr("outside of a repeat"));
}

}  // namespace
}  // namespace gpremap
