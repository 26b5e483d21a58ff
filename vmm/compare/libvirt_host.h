// A connection to libvirt's QEMU driver with the thread that its events need.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include "vmm/compare/waiter.h"
#include "vmm/libvirt/connection.h"

namespace gpremap {

// Runs libvirt's event loop. Made before the connection, and outlives it.
class EventLoop {
  public:
    // libvirt's own log goes to a file in `folder`.
    explicit EventLoop(const std::filesystem::path& folder);
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

  private:
    std::atomic<bool> ends_ = false;
    int heartbeat_;
    std::thread thread_;
};

class LibvirtHost {
  public:
    // An empty `uri` stands for the driver inside of this program, with its files in `folder`. Throws
    // HostLacks where nobody answers, or there is no QEMU, with the mend; Interrupted.
    LibvirtHost(const std::string& uri, const std::filesystem::path& folder, Waiter& waiter);

    virConnectPtr connection() const { return connection_.get(); }
    const std::string& uri() const { return uri_; }
    std::string version() const;  // of libvirt, on the other side
    const std::string& qemu_version() const { return qemu_version_; }

  private:
    std::string ask_for_qemu() const;

    std::string uri_;
    EventLoop loop_;
    Connection connection_;
    std::string qemu_version_;
};

}  // namespace gpremap
