#include "vmm/libvirt/private_folder.h"

#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <cerrno>
#include <system_error>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

std::filesystem::path make_folder() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string name = (parent / "gpremap-XXXXXX").string();
    if (!error && !mkdtemp(name.data())) error.assign(errno, std::generic_category());
    if (!error) return name;
    const char* stated = getenv("TMPDIR");
    throw HostLacks("no folder can be made in " + (stated ? std::string(stated) : parent.string()) + ": " +
                    error.message() + ": name one in TMPDIR that this user may write to");
}

}  // namespace

PrivateFolder::PrivateFolder() : path_(make_folder()) {
    using std::filesystem::perms;
    std::filesystem::permissions(path_, perms::owner_all | perms::group_exec | perms::others_exec);
}

PrivateFolder::~PrivateFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    if (error) spdlog::error("{} cannot be removed: {}", path_.string(), error.message());
}

}  // namespace gpremap
