#include "vmm/libvirt/embedded_driver.h"

#include <unistd.h>

#include <fstream>

namespace gpremap {

namespace {

// QEMU as ourselves, its output in files and not in virtlogd, and nobody's files relabelled: then the driver
// needs no daemon beside it.
constexpr const char* settings = R"(stdio_handler = "file"
security_driver = "none"
remember_owner = 0
)";
// Only root may name users.
constexpr const char* settings_of_root = R"(user = "root"
group = "root"
)";

}  // namespace

std::string embedded_uri(const std::filesystem::path& root) {
    std::filesystem::create_directories(root / "etc");
    std::ofstream file(root / "etc/qemu.conf");
    file << settings << (geteuid() == 0 ? settings_of_root : "");
    return "qemu:///embed?root=" + root.string();
}

}  // namespace gpremap
