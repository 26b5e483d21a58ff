// The file that --json names. Tried before a run, so that a path that cannot be written costs no run.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "vmm/base/output_file.h"

namespace gpremap {

// Keeps its keys in the order in which they were put in.
using JsonObject = nlohmann::ordered_json;

// The text of an object, key by key. A large result is never there as a tree: that takes several times the memory, and
// its destructor allocates, which ends the program where memory is short.
class JsonText {
  public:
    void add(std::string_view key, const JsonObject& value);
    // An array of what `json_of` makes of each.
    template <typename All, typename JsonOf>
    void add_each(std::string_view key, const All& all, JsonOf json_of) {
        begin(key);
        const char* before = "[";
        for (const auto& each : all) {
            text_ += before;
            add_value(json_of(each), 4);
            before = ",";
        }
        text_ += *before == '[' ? "[]" : "\n  ]";
    }
    std::string take() && { return std::move(text_ += text_.empty() ? "{}\n" : "\n}\n"); }

  private:
    void begin(std::string_view key);
    void add_value(const JsonObject& value, size_t indentation);

    std::string text_;
};

class JsonFile {
  public:
    // Throws ConfigError where `path` cannot be written. An empty path stands for no file, "-" for standard
    // output.
    explicit JsonFile(const std::string& path);

    bool is_regular() const { return file_ && file_->is_regular(); }

    // As write_result(). The text is made only where there is a file.
    int write(const std::function<std::string()>& text, int status);
    int write(const JsonObject& result, int status);

  private:
    std::optional<OutputFile> file_;
};

}  // namespace gpremap
