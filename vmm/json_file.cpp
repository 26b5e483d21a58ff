#include "vmm/json_file.h"

#include <fstream>

#include "vmm/errors.h"

namespace gpremap {

JsonFile::JsonFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    // To append, so that the result of an earlier run stays until there is another.
    if (!std::ofstream(path, std::ios::app))
        throw ConfigError("--json " + path + ": cannot be written; give a path that can");
}

void JsonFile::write(const JsonObject& result) {
    if (path_.empty()) return;
    std::ofstream file(path_);
    file << result.dump(2) << '\n';
    if (!file.flush()) throw ConfigError("--json " + path_ + ": cannot be written; is the disk full?");
}

}  // namespace gpremap
