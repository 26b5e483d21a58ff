// The Linux guest of the comparison in QEMU, driven through libvirt: booted, resized one way, and gone with
// its owner. Its program is guest/baseline/resize_guest.cpp.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "vmm/compare/guest_channel.h"
#include "vmm/compare/guest_image.h"
#include "vmm/compare/qemu_events.h"
#include "vmm/compare/resized_linux.h"
#include "vmm/libvirt/qemu_domain.h"

namespace gpremap {

struct QemuGuestConfig {
    Way way = Way::balloon;  // one of QEMU's
    QemuDomain::Type type = QemuDomain::Type::kvm;
    GuestSettings settings;
    GuestImage image;
    std::filesystem::path folder;  // where its sockets go
};

class QemuGuest final : public ResizedLinux {
  public:
    // Boots it and waits until it has the schedule's initial memory, all of it stamped. Throws GuestDied
    // where it does not answer until the deadline, LibvirtError, Interrupted; nothing of it is left then.
    QemuGuest(virConnectPtr connection, const QemuGuestConfig& config, const Schedule& schedule,
              Waiter& waiter);
    ~QemuGuest() override;

  private:
    // One way to resize: what it says to libvirt, and which event ends it. Throws LibvirtError.
    void grow(const Resizing& resizing);
    void shrink(const Resizing& resizing);
    void set_balloon(uint64_t size);
    QemuDomain::VirtioMem virtio_mem(uint64_t size) const;  // as it is for that size of the range
    void set_virtio_mem(uint64_t size);
    void attach_dimm(uint64_t bytes);
    std::optional<Clock::time_point> wait_for_event(const Resizing& resizing);

    void send(const std::string& line) override { channel_.send(line); }
    GuestChannel::Line receive() override;
    std::string last_words() override;
    uint64_t host_bytes() override;
    void change(const Resizing& resizing, Measured& measured) override;

    QemuDomain describe() const;
    void start(const std::string& xml);
    void greet();
    bool runs();

    virConnectPtr connection_;
    QemuGuestConfig config_;
    GuestChannel console_;
    GuestChannel channel_;
    Domain domain_;
    std::unique_ptr<QemuEvents> events_;
    std::vector<std::string> dimms_;  // aliases, the last came last
    unsigned dimms_made_ = 0;
};

}  // namespace gpremap
