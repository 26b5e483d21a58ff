#include "vmm/compare/libvirt_host.h"

#include <fmt/format.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <system_error>
#include <thread>

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

// The driver starts each QEMU that it finds, to ask what it can, and waits some seconds for each. They are told
// by the files of that name in the folder.
void end_questions(const std::filesystem::path& folder) {
    std::error_code gone;  // the driver makes and removes folders meanwhile
    using Walk = std::filesystem::recursive_directory_iterator;
    for (Walk walk(folder, gone); !gone && walk != Walk(); walk.increment(gone)) {
        if (walk->path().filename() != "qmp.pid") continue;
        pid_t pid = 0;
        if (std::ifstream(walk->path()) >> pid && pid > 1) kill(pid, SIGKILL);
    }
}

// Waits for `done`; libvirt does not look at signals meanwhile.
template <typename Done>
void end_early_where_interrupted(Done done, const std::filesystem::path& folder, Waiter& waiter) {
    constexpr std::chrono::milliseconds look(20);
    try {
        waiter.wait(done, std::chrono::hours(24));
    } catch (const Interrupted&) {
        for (bool ended = false; !ended;) {
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

LibvirtHost::LibvirtHost(const std::string& uri, const std::filesystem::path& folder, Waiter& waiter)
    : uri_(uri.empty() ? embedded_uri(folder / "libvirt") : uri), loop_(folder) {
    std::exception_ptr failed;
    bool ended = false;
    std::thread opener([&] {
        try {
            connection_ = open_connection(uri_);
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

std::string LibvirtHost::qemu_version() const {
    unsigned long version = 0;
    checked(virConnectGetVersion(connection_.get(), &version), "cannot ask for QEMU's version");
    return dotted(version);
}

}  // namespace gpremap
