// [vm] guest, [linux], and what stands in their place.
#include "vmm/config/linux_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

LinuxConfig section(const std::string& keys) {
    const TomlFile file = TomlFile::parse("[linux]\n" + keys, "folder/s.toml");
    return read_linux(file.root().at("linux").table());
}

std::string complaint_about(const std::string& keys) {
    try {
        section(keys);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

TEST(LinuxSection, IsDebianWithoutAWord) {
    EXPECT_EQ(section("").kernel, "");
    EXPECT_EQ(section("kernel = \"debian\"").kernel, "");
    EXPECT_EQ(section("").memory, 1ull << 30);
}

TEST(LinuxSection, PathsAreBesideTheFile) {
    const LinuxConfig config = section("kernel = \"k\"\ninitramfs = \"/i\"\nconsole = \"c\"");
    EXPECT_EQ(config.kernel, "folder/k");
    EXPECT_EQ(config.initramfs, "/i");
    EXPECT_EQ(config.console, "folder/c");
    EXPECT_EQ(section("console = \"-\"").console, "-");
    EXPECT_THAT(section("add = [\"a\", \"b/c\"]").add, ElementsAre("folder/a", "folder/b/c"));
}

TEST(LinuxSection, SaysWhatIsWrong) {
    EXPECT_THAT(complaint_about("kernel = \"k\""), HasSubstr("needs initramfs"));
    EXPECT_THAT(complaint_about("memory = \"32MiB\""), HasSubstr("expected a multiple of 2 MiB from 64 MiB"));
    EXPECT_THAT(complaint_about("memory = \"3GiB\""), HasSubstr("to 2 GiB"));
    EXPECT_THAT(complaint_about("memory = 67108865"), HasSubstr("multiple of 2 MiB"));
    EXPECT_THAT(complaint_about("boot_deadline = 0"), HasSubstr("more than 0"));
    EXPECT_THAT(complaint_about("initramfs = \"i\"\nadd = [\"a\"]"), HasSubstr("here is one already"));
    EXPECT_THAT(complaint_about("speed = 1"), HasSubstr("known here: "));
}

TEST(LinuxSection, OptionsStandInItsPlace) {
    MachineConfig machine;
    Overrides overrides;
    overrides.guest = GuestKind::linux;
    overrides.linux_image = "folder";
    override_guest(overrides, machine);
    EXPECT_EQ(machine.guest, GuestKind::linux);
    EXPECT_EQ(machine.linux_guest.kernel, "folder/kernel");
    EXPECT_EQ(machine.linux_guest.initramfs, "folder/initramfs");
}

TEST(LinuxSection, WhatCannotBeTogether) {
    const TomlFile file = TomlFile::parse("[vm]\nring = true\naperture = { base = \"1GiB\" }\n", "s.toml");
    MachineConfig machine;
    machine.memory.aperture_base = 1ull << 30;
    EXPECT_NO_THROW(check_guest(file.root(), machine));
    machine.guest = GuestKind::linux;
    EXPECT_THROW(check_guest(file.root(), machine), ConfigError);
    machine.memory.aperture_base = 4ull << 30;
    EXPECT_NO_THROW(check_guest(file.root(), machine));
    machine.ring = true;
    EXPECT_THROW(check_guest(file.root(), machine), ConfigError);
}

}  // namespace
}  // namespace gpremap
