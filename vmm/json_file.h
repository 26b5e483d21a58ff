// The file that --json names. Tried before a run, so that a path that cannot be written costs no run.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gpremap {

// Keeps its keys in the order in which they were put in.
using JsonObject = nlohmann::ordered_json;

class JsonFile {
  public:
    // Throws ConfigError where `path` cannot be written. An empty path stands for no file.
    explicit JsonFile(const std::string& path);

    // Throws ConfigError where the file takes no more.
    void write(const JsonObject& result);

  private:
    std::string path_;
};

}  // namespace gpremap
