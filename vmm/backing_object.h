// The one file that backs a VM's shareable pages: a sparse memfd, in which remap::Store hands out offsets.
#pragma once

#include <cstdint>

#include "vmm/kvm.h"

namespace gpremap {

class BackingObject {
  public:
    enum class Pages { small, huge_2m };

    // Throws HostLacks where the host has no such memory.
    explicit BackingObject(Pages pages);

    int fd() const { return fd_.get(); }
    Pages pages() const { return pages_; }
    // Bytes of host memory that the file holds.
    uint64_t allocated() const;

  private:
    Pages pages_;
    Descriptor fd_;
};

}  // namespace gpremap
