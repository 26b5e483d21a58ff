#include "vmm/config/linux_section.h"

#include <filesystem>
#include <string>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"

namespace gpremap {
namespace {

constexpr uint64_t large_page = 2ull << 20;
constexpr uint64_t least_memory = 64ull << 20;

std::string path_in(const TomlValue& value) {
    const std::filesystem::path path = value.text();
    if (path.empty()) value.expected("a path");
    return (std::filesystem::path(value.place().file).parent_path() / path).string();
}

void read_kernel(const TomlTable& section, LinuxConfig& config) {
    if (auto kernel = section.find("kernel"); kernel && kernel->text() != "debian")
        config.kernel = path_in(*kernel);
    if (auto initramfs = section.find("initramfs")) config.initramfs = path_in(*initramfs);
    if (!config.kernel.empty() && config.initramfs.empty())
        section.find("kernel")->fail(
            "a kernel of your own needs initramfs, too: its module is built for one kernel "
            "(docs/linux-guest.md)");
}

void read_memory(const TomlValue& value, LinuxConfig& config) {
    config.memory = value.size();
    if (config.memory % large_page != 0 || config.memory < least_memory ||
        config.memory > highest_linux_memory)
        value.expected("a multiple of 2 MiB from " + format_size(least_memory) + " to " +
                       format_size(highest_linux_memory));
}

void read_boot_deadline(const TomlValue& value, LinuxConfig& config) {
    constexpr double longest = 86400;
    config.boot_deadline = value.number();
    if (!(config.boot_deadline > 0 && config.boot_deadline <= longest))
        value.expected("seconds, more than 0 and at most a day");
}

}  // namespace

LinuxConfig read_linux(const TomlTable& section) {
    section.only({"kernel", "initramfs", "memory", "add", "append", "console", "boot_deadline"});
    LinuxConfig config;
    read_kernel(section, config);
    if (auto value = section.find("memory")) read_memory(*value, config);
    if (auto value = section.find("boot_deadline")) read_boot_deadline(*value, config);
    if (auto value = section.find("add"))
        for (const TomlValue& each : value->array()) config.add.push_back(path_in(each));
    if (!config.add.empty() && !config.initramfs.empty())
        section.find("add")->fail("files are added to the initramfs that is made, and here is one already");
    config.append = section.text_or("append", "");
    if (auto value = section.find("console")) {
        const std::string text = value->text();
        config.console = text == "-" || text == "terminal" ? text : path_in(*value);
    }
    return config;
}

void override_guest(const Overrides& overrides, MachineConfig& machine) {
    machine.guest = overrides.guest.value_or(machine.guest);
    if (overrides.linux_image.empty()) return;
    const std::filesystem::path folder = overrides.linux_image;
    machine.linux_guest.kernel = (folder / "kernel").string();
    machine.linux_guest.initramfs = (folder / "initramfs").string();
}

void check_guest(const TomlTable& root, const MachineConfig& machine) {
    if (machine.guest != GuestKind::linux) return;
    const auto vm = root.find("vm");
    auto fail = [&](const std::string& key, const std::string& problem) {
        if (vm && vm->table().has(key)) vm->table().find(key)->fail(problem);
        throw ConfigError(root.place().file + ": " + problem);
    };
    if (machine.ring) fail("ring", "a Linux guest makes its calls by exits: it has no ring");
    if (machine.memory.aperture_base < lowest_linux_aperture)
        fail("aperture", "with the guest \"linux\" the aperture begins at " +
                             format_size(lowest_linux_aperture) + " or later");
}

}  // namespace gpremap
