#include "vmm/host/installation.h"

#include <system_error>

namespace gpremap {

std::filesystem::path guests_folder() {
    std::error_code ignored;
    const auto folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
    std::filesystem::path built = folder / "../guest";
    if (!std::filesystem::exists(built, ignored)) built = folder / ".." / GPREMAP_LIBEXECDIR / "gpremap";
    return built.lexically_normal();
}

}  // namespace gpremap
