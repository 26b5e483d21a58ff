#include "vmm/base/json_file.h"

namespace gpremap {

namespace {

// Names of files need not be UTF-8; JSON is.
std::string dumped(const JsonObject& value) {
    return value.dump(2, ' ', false, JsonObject::error_handler_t::replace);
}

}  // namespace

void JsonText::begin(std::string_view key) {
    text_ += text_.empty() ? "{" : ",";
    text_ += "\n  " + dumped(key) + ": ";
}

void JsonText::add(std::string_view key, const JsonObject& value) {
    begin(key);
    add_value(value, 0);
}

// On lines of its own where it is indented. No line ends inside of a value but where dump() has begun the next.
void JsonText::add_value(const JsonObject& value, size_t indentation) {
    const std::string line = '\n' + std::string(indentation > 0 ? indentation : 2, ' ');
    if (indentation > 0) text_ += line;
    for (const char c : dumped(value)) c == '\n' ? text_ += line : text_ += c;
}

JsonFile::JsonFile(const std::string& path) {
    if (!path.empty()) file_.emplace("--json", path);
}

int JsonFile::write(const std::function<std::string()>& text, int status) {
    return file_ ? write_result(*file_, text(), status) : status;
}

int JsonFile::write(const JsonObject& result, int status) {
    return write([&] { return dumped(result) + '\n'; }, status);
}

}  // namespace gpremap
