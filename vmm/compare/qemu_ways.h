// QEMU's part of a comparison: libvirt, the guest's image, and with what QEMU runs it.
#pragma once

#include <memory>

#include "vmm/compare/compare.h"
#include "vmm/compare/comparison.h"
#include "vmm/compare/resized_linux.h"
#include "vmm/compare/waiter.h"

namespace gpremap {

class QemuWays {
  public:
    virtual ~QemuWays() = default;

    virtual const QemuFacts& facts() const = 0;
    // Boots a guest that is resized that way, one of QEMU's. Throws HostLacks, GuestDied, Interrupted; nothing of it is left
    // then.
    virtual std::unique_ptr<ResizedLinux> boot(Way way) = 0;
};

// Connects to libvirt, makes the image, and tries whether KVM boots it where `options` leave that open. Throws as boot() does.
// Not to be called in a build without libvirt: can_compare_with_qemu().
std::unique_ptr<QemuWays> open_qemu_ways(const CompareOptions& options, const Schedule& schedule,
                                         Waiter& waiter);

}  // namespace gpremap
