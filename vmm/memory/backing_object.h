// The one file that backs a VM's shareable pages: sparse, in memory, without a name. remap::Store hands out
// offsets in it.
#pragma once

#include <cstdint>
#include <utility>

#include "vmm/kvm/kvm.h"

namespace gpremap {

class BackingObject {
  public:
    enum class Pages {
        small,        // 4 KiB
        transparent,  // 2 MiB where a mapping asks for them (MADV_HUGEPAGE) and holds all of one
        huge_2m       // 2 MiB, of hugetlb
    };
    enum class Kind { ordinary, hugetlb };

    // An ordinary one has transparent huge pages where the host allows it. Throws HostLacks where the host
    // has no such memory.
    explicit BackingObject(Kind kind);

    int fd() const { return fd_.get(); }
    Pages pages() const { return pages_; }
    // Bytes of host memory that the file holds.
    uint64_t allocated() const;

  private:
    explicit BackingObject(std::pair<Descriptor, Pages> file);

    Descriptor fd_;
    Pages pages_;
};

}  // namespace gpremap
