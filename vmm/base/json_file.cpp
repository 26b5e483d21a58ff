#include "vmm/base/json_file.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "vmm/base/errors.h"

namespace gpremap {

JsonFile::JsonFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    std::error_code ignored;
    const bool is_new = !std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
    // To append, so that the result of an earlier run stays until there is another.
    if (!std::ofstream(path, std::ios::app))
        throw ConfigError("--json " + path + ": cannot be written; give a path that can");
    if (is_new) std::filesystem::remove(path, ignored);
}

int JsonFile::write(const JsonObject& result, int status) {
    constexpr int not_written = 2;  // an exit status
    if (path_.empty()) return status;
    std::ofstream file(path_);
    // Names of files need not be UTF-8; JSON is.
    file << result.dump(2, ' ', false, JsonObject::error_handler_t::replace) << '\n';
    if (file.flush()) return status;
    spdlog::error("--json {}: cannot be written; is the disk full?", path_);
    return status == 0 ? not_written : status;
}

}  // namespace gpremap
