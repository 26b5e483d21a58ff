#include "vmm/base/text_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

// Some editors begin a file with it. It says that the file is UTF-8, which all of these are.
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

}  // namespace

std::string read_text(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    if (in && in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
    if (!in.is_open() || in.bad()) throw ConfigError(path + ": cannot be read: " + std::strerror(errno));
    std::string all = text.str();
    return all.starts_with(byte_order_mark) ? all.substr(byte_order_mark.size()) : all;
}

}  // namespace gpremap
