// A folder of this run's own under the system's temporary one; gone with its owner, with all that is in it.
#pragma once

#include <filesystem>

namespace gpremap {

class PrivateFolder {
  public:
    // Anybody may look into it: a daemon's QEMU runs as another user. Throws HostLacks.
    PrivateFolder();
    ~PrivateFolder();
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace gpremap
