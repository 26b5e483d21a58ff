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
#include "vmm/compare/resize_plan.h"
#include "vmm/compare/resizing.h"
#include "vmm/libvirt/qemu_domain.h"

namespace gpremap {

// What of the guest's own choices changes the outcome.
struct GuestSettings {
    bool init_on_alloc = true;  // Linux zeroes each page that it hands out: so Debian builds it
    std::string memhp_default_state = "online_movable";
};

struct QemuGuestConfig {
    Way way = Way::balloon;
    QemuDomain::Type type = QemuDomain::Type::kvm;
    GuestSettings settings;
    GuestImage image;
    std::filesystem::path folder;  // where its sockets go
};

class QemuGuest {
  public:
    // Boots it and waits until it has the schedule's initial memory, all of it stamped. Throws GuestDied
    // where it does not answer until the deadline, LibvirtError, Interrupted; nothing of it is left then.
    QemuGuest(virConnectPtr connection, const QemuGuestConfig& config, const Schedule& schedule,
              Waiter& waiter);
    ~QemuGuest();

    // Resizes it, and has it touch and verify its memory. Throws as the constructor does, and GuestDied where
    // its memory is not as it was.
    Measured resize(const Resizing& resizing);

    // Its own memory, without the part that is resized, in bytes.
    static uint64_t base_memory(const Schedule& schedule);

  private:
    // One way to resize: what it says to libvirt, and which event ends it.
    void grow(const Resizing& resizing);
    void shrink(const Resizing& resizing);
    void set_balloon(uint64_t size);
    QemuDomain::VirtioMem virtio_mem(uint64_t size) const;  // as it is for that size of the range
    void set_virtio_mem(uint64_t size);
    void attach_dimm(uint64_t bytes);
    std::optional<Clock::time_point> wait_for_event(const Resizing& resizing);

    QemuDomain describe() const;
    void start(const std::string& xml);
    void greet();
    void settle();

    std::string ask(const std::string& request, const std::string& expected);
    std::string answer(const std::string& expected, Clock::time_point* at = nullptr);
    void use(uint64_t size);
    uint64_t host_bytes();
    uint64_t settled_host_bytes();
    bool runs();
    [[noreturn]] void give_up(const std::string& what);

    virConnectPtr connection_;
    QemuGuestConfig config_;
    const Schedule& schedule_;
    Waiter& waiter_;
    GuestChannel console_;
    GuestChannel channel_;
    Domain domain_;
    std::unique_ptr<QemuEvents> events_;
    uint64_t initial_total_ = 0;      // bytes that Linux managed before the first resize
    std::vector<std::string> dimms_;  // aliases, the last came last
    unsigned dimms_made_ = 0;
};

}  // namespace gpremap
