// The file that --json names. Tried before a run, so that a path that cannot be written costs no run.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "vmm/base/output_file.h"

namespace gpremap {

// Keeps its keys in the order in which they were put in.
using JsonObject = nlohmann::ordered_json;

class JsonFile {
  public:
    // Throws ConfigError where `path` cannot be written. An empty path stands for no file, "-" for standard
    // output.
    explicit JsonFile(const std::string& path);

    bool is_regular() const { return file_ && file_->is_regular(); }

    // As write_result().
    int write(const JsonObject& result, int status);

  private:
    std::optional<OutputFile> file_;
};

}  // namespace gpremap
