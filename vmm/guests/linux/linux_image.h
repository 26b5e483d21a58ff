// Kernel and initramfs of the guest "linux", where the user names none: Debian's, with the module and the agent's process.
#pragma once

#include <filesystem>

#include "vmm/config/machine_config.h"

namespace gpremap {

// What was made is there as long as this object.
class LinuxImage {
  public:
    // Makes what `config` lacks, by guest/linux/image/linux_image.py, and names it in `config`; nothing for another guest
    // than linux. The first time ever it downloads Debian packages, which takes a minute. Throws HostLacks with what is missing;
    // Interrupted.
    explicit LinuxImage(MachineConfig& config);
    ~LinuxImage();
    LinuxImage(const LinuxImage&) = delete;
    LinuxImage& operator=(const LinuxImage&) = delete;

  private:
    std::filesystem::path folder_;
};

}  // namespace gpremap
