#include "vmm/compare/guest_image.h"

#include <spdlog/spdlog.h>

#include <fstream>
#include <sstream>

#include "vmm/base/errors.h"
#include "vmm/compare/needs.h"
#include "vmm/host/child_process.h"

namespace gpremap {

namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    std::string all = text.str();
    while (!all.empty() && all.back() == '\n') all.pop_back();
    return all;
}

}  // namespace

GuestImage make_guest_image(const std::filesystem::path& folder, Waiter& waiter) {
    constexpr std::chrono::minutes longest(10);  // a download
    spdlog::info("making the guest's image; the first time, this downloads Debian's kernel");
    const std::filesystem::path output = folder / "image.output", errors = folder / "image.errors";
    const GuestFiles files = guest_files();
    ChildProcess child({"python3", "-B", files.image, files.program, folder.string()}, output, errors);
    if (!waiter.wait([&] { return child.has_ended(); }, longest))
        throw HostLacks("the guest's kernel was not downloaded within 10 minutes: see whether apt works");
    if (!child.succeeded()) throw HostLacks("the guest's image cannot be made: " + contents(errors));
    return {folder / "kernel", folder / "initramfs", contents(output)};
}

}  // namespace gpremap
