#include "vmm/compare/libvirt_host.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <thread>

#include "vmm/base/errors.h"
#include "vmm/libvirt/embedded_driver.h"
#include "vmm/libvirt/private_folder.h"

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

// The driver starts each QEMU that it finds, to ask what it can, and waits some seconds for each. They are told
// by their command lines, which name a socket in `folder`: the file with the pid is there much later, and the
// process that waits until QEMU is a daemon has the same line.
void end_questions(const std::filesystem::path& folder) {
    end_qemu_with((folder / "libvirt/lib/qemu/qmp-").string());
}

// Waits for `done`; libvirt does not look at signals meanwhile.
template <typename Done>
void end_early_where_interrupted(Done done, const std::filesystem::path& folder, Waiter& waiter) {
    constexpr std::chrono::milliseconds look(20);
    try {
        waiter.wait(done, std::chrono::hours(24));
    } catch (const Interrupted&) {
        bool ended = false;
        while (!ended) {
            end_questions(folder);
            std::this_thread::sleep_for(look);
            waiter.change([&] { ended = done(); });
        }
    }
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

std::string LibvirtHost::ask_for_qemu() const {
    unsigned long version = 0;
    checked(virConnectGetVersion(connection_.get(), &version), "cannot ask for QEMU's version");
    return dotted(version);
}

// The first question has the driver ask each QEMU, so it belongs to what may be ended early.
LibvirtHost::LibvirtHost(const std::string& uri, const std::filesystem::path& folder, Waiter& waiter)
    : uri_(uri.empty() ? embedded_uri(folder / "libvirt") : uri), loop_(folder) {
    std::exception_ptr failed;
    bool ended = false;
    std::thread opener([&] {
        try {
            connection_ = open_connection(uri_);
            qemu_version_ = ask_for_qemu();
        } catch (...) {
            failed = std::current_exception();
        }
        waiter.change([&] { ended = true; });
    });
    end_early_where_interrupted([&] { return ended; }, folder, waiter);
    opener.join();
    waiter.interruption().check();
    try {
        if (failed) std::rethrow_exception(failed);
    } catch (const LibvirtError& error) {
        throw HostLacks(std::string(error.what()) + ": " + mend(uri_));
    }
}

std::string LibvirtHost::version() const {
    unsigned long version = 0;
    checked(virConnectGetLibVersion(connection_.get(), &version), "cannot ask for libvirt's version");
    return dotted(version);
}

}  // namespace gpremap
