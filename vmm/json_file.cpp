#include "vmm/json_file.h"

#include "vmm/errors.h"

namespace gpremap {

JsonFile::JsonFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    file_.open(path);
    if (!file_) throw ConfigError("--json " + path + ": cannot be written; give a path that can");
}

void JsonFile::write(const JsonObject& result) {
    if (path_.empty()) return;
    file_ << result.dump(2) << '\n';
    if (!file_.flush()) throw ConfigError("--json " + path_ + ": cannot be written; is the disk full?");
}

}  // namespace gpremap
