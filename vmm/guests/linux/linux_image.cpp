#include "vmm/guests/linux/linux_image.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/text_file.h"
#include "vmm/host/child_process.h"
#include "vmm/host/installation.h"

namespace gpremap {
namespace {

std::filesystem::path make_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "gpremap-linux-XXXXXX").string();
    if (!mkdtemp(name.data()))
        throw HostLacks("a folder for the guest's image cannot be made at " + name + ": see $TMPDIR");
    return name;
}

std::string trimmed(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

// Waits for it, up to ten minutes: it may download.
void run(const std::vector<std::string>& command, const std::filesystem::path& folder) {
    constexpr auto longest = std::chrono::minutes(10);
    const std::string errors = (folder / "errors").string();
    ChildProcess child(command, (folder / "output").string(), errors);
    const auto end = std::chrono::steady_clock::now() + longest;
    while (!child.has_ended()) {
        if (std::chrono::steady_clock::now() > end)
            throw HostLacks("the guest's kernel was not downloaded within 10 minutes: see whether apt works");
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (!child.succeeded())
        throw HostLacks("the guest's image cannot be made: " + trimmed(read_text(errors)));
}

}  // namespace

LinuxImage::LinuxImage(MachineConfig& config) {
    if (config.guest != GuestKind::linux || !config.linux_guest.kernel.empty()) return;
    const std::string script = (guests_folder() / "linux/image/linux_image.py").string();
    folder_ = make_folder();
    try {
        spdlog::info("making the Linux guest's image; the first time, this downloads Debian's kernel");
        std::vector<std::string> command = {"python3", "-B", script, folder_.string()};
        for (const std::string& file : config.linux_guest.add) command.insert(command.end(), {"--add", file});
        run(command, folder_);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
        throw;
    }
    config.linux_guest.kernel = (folder_ / "kernel").string();
    config.linux_guest.initramfs = (folder_ / "initramfs").string();
}

LinuxImage::~LinuxImage() {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

}  // namespace gpremap
