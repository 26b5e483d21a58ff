// A folder of this run's own under the system's temporary one; gone with its owner, with all that is in it.
#pragma once

#include <filesystem>
#include <string>

#include "vmm/host/guardian.h"

namespace gpremap {

class PrivateFolder {
  public:
    // Anybody may look into it: a daemon's QEMU runs as another user. However this process ends, a second one removes
    // it, and ends those of QEMU that name it. Throws HostLacks; std::system_error where there can be no process.
    PrivateFolder();

    const std::filesystem::path& path() const { return folder_.path; }

  private:
    // Goes, too, where there can be no guardian: nothing is in it then.
    struct Folder {
        Folder();
        ~Folder();
        const std::filesystem::path path;
    };
    const Folder folder_;
    const Guardian guardian_;
};

// Kills each process of QEMU whose command line has `text`. Returns whether there was one.
bool end_qemu_with(const std::string& text);

}  // namespace gpremap
