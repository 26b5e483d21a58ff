#include "vmm/base/json_file.h"

namespace gpremap {

JsonFile::JsonFile(const std::string& path) {
    if (!path.empty()) file_.emplace("--json", path);
}

int JsonFile::write(const JsonObject& result, int status) {
    if (!file_) return status;
    // Names of files need not be UTF-8; JSON is.
    return write_result(*file_, result.dump(2, ' ', false, JsonObject::error_handler_t::replace) + '\n',
                        status);
}

}  // namespace gpremap
