// What `gpremap compare` needs of this host beside KVM: found out before anything is started, and by doctor.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gpremap {

// The one that need not be there: it is downloaded when it is needed.
inline constexpr const char* kernel_need = "guest's kernel";

struct CompareNeed {
    std::string what;
    std::string reason;  // what was found, or what is missing and for what
    std::string mend;    // the command that makes it; empty where it is there
};

// Whether this was built with libvirt, which drives QEMU.
bool can_compare_with_qemu();

// QEMU belongs to the daemon at `uri`, where one is named. Without a `uri`, even an empty one, QEMU is not asked for.
std::vector<CompareNeed> examine_compare(const std::optional<std::string>& uri);

// The files of the guests that are compared with, beside this program: in the build's own folder, or where they
// have been installed.
struct GuestFiles {
    std::filesystem::path program;  // resize_guest
    std::filesystem::path image;    // resize_image.py, which makes the image
    std::filesystem::path kernel;   // kernel.py, which has the kernel
};
GuestFiles guest_files();

}  // namespace gpremap
