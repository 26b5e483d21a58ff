#include "vmm/compare/libvirt_host.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "vmm/base/errors.h"
#include "vmm/libvirt/embedded_driver.h"

namespace gpremap {

namespace {

constexpr int heartbeat_ms = 50;

std::string mend(const std::string& uri) {
    if (uri.starts_with("qemu:///embed"))
        return "install libvirt-daemon-system and qemu-system-x86 (`./bootstrap compare` does), or name a "
               "daemon with --connect";
    return "is that daemon running (`libvirtd -d`, or `systemctl start libvirtd`)? Without --connect none is "
           "needed";
}

std::string dotted(unsigned long version) {
    return fmt::format("{}.{}.{}", version / 1'000'000, version / 1'000 % 1'000, version % 1'000);
}

}  // namespace

EventLoop::EventLoop(const std::filesystem::path& folder) {
    // What the driver has to say beside its errors, which come as exceptions. Read when libvirt is first
    // used.
    setenv("LIBVIRT_LOG_OUTPUTS", ("4:file:" + (folder / "libvirt.log").string()).c_str(), 0);
    virEventRegisterDefaultImpl();
    // The loop looks at `ends_` whenever something has happened; so something always does.
    heartbeat_ = virEventAddTimeout(
        heartbeat_ms, [](int, void*) {}, nullptr, nullptr);
    thread_ = std::thread([this] {
        while (!ends_ && virEventRunDefaultImpl() >= 0) {
        }
    });
}

EventLoop::~EventLoop() {
    ends_ = true;
    thread_.join();
    virEventRemoveTimeout(heartbeat_);
}

LibvirtHost::LibvirtHost(const std::string& uri, const std::filesystem::path& folder)
    : uri_(uri.empty() ? embedded_uri(folder / "libvirt") : uri), loop_(folder) {
    try {
        connection_ = open_connection(uri_);
    } catch (const LibvirtError& error) {
        throw HostLacks(std::string(error.what()) + ": " + mend(uri_));
    }
}

std::string LibvirtHost::version() const {
    unsigned long version = 0;
    checked(virConnectGetLibVersion(connection_.get(), &version), "cannot ask for libvirt's version");
    return dotted(version);
}

std::string LibvirtHost::qemu_version() const {
    unsigned long version = 0;
    checked(virConnectGetVersion(connection_.get(), &version), "cannot ask for QEMU's version");
    return dotted(version);
}

}  // namespace gpremap
