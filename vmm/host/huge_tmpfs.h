// A file whose mappings get transparent huge pages where they ask for them, whatever the host's settings are.
//
// A memfd's pages are huge only where the administrator has said so (shmem_enabled). A tmpfs has a setting
// of its own, and whoever may mount one may choose it: root, or anybody in a user namespace of their own.
#pragma once

#include <string>

#include "vmm/kvm/kvm.h"

namespace gpremap {

struct HugeTmpfsFile {
    Descriptor fd;  // empty, unnamed, in a tmpfs without limits that is mounted nowhere; where there is one
    std::string lack;  // what the host lacks, where there is none ...
    std::string mend;  // ... and what to do about it
};

HugeTmpfsFile open_huge_tmpfs_file();

}  // namespace gpremap
