#include "vmm/base/json_file.h"

#include <spdlog/spdlog.h>

namespace gpremap {

JsonFile::JsonFile(const std::string& path) {
    if (!path.empty()) file_.emplace("--json", path);
}

int JsonFile::write(const JsonObject& result, int status) {
    constexpr int not_written = 2;  // an exit status
    if (!file_) return status;
    // Names of files need not be UTF-8; JSON is.
    const std::string text = result.dump(2, ' ', false, JsonObject::error_handler_t::replace) + '\n';
    const auto problem = file_->write(text);
    if (!problem) return status;
    spdlog::error("{}", *problem);
    return status == 0 ? not_written : status;
}

}  // namespace gpremap
