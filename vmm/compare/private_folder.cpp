#include "vmm/compare/private_folder.h"

#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <cerrno>
#include <system_error>

namespace gpremap {

PrivateFolder::PrivateFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "gpremap-compare-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), "mkdtemp " + name);
    path_ = name;
    using std::filesystem::perms;
    std::filesystem::permissions(path_, perms::owner_all | perms::group_exec | perms::others_exec);
}

PrivateFolder::~PrivateFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (error) spdlog::error("{} cannot be removed: {}", path_.string(), error.message());
}

}  // namespace gpremap
