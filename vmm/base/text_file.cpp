#include "vmm/base/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"

namespace gpremap {

namespace {

// Some editors begin a file with it. It says that the file is UTF-8, which all of these are.
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

[[noreturn]] void fail(const std::string& path, int error = errno) {
    throw ConfigError(path + ": cannot be read: " + std::strerror(error));
}

// A pipe without a writer is opened, too, instead of being waited for.
Descriptor open_regular(const std::string& path) {
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!file.valid() || fstat(file.get(), &status) != 0) fail(path);
    if (S_ISDIR(status.st_mode)) fail(path, EISDIR);
    if (!S_ISREG(status.st_mode)) throw ConfigError(path + ": not a regular file");
    return file;
}

// What /proc has says that it is empty, so that its size says nothing.
std::string text_from(int descriptor, const std::string& path, size_t most) {
    std::string all;
    char part[65536];
    for (;;) {
        ssize_t got = read(descriptor, part, sizeof part);
        if (got < 0 && errno != EINTR) fail(path);
        if (got == 0) return all;
        if (got > 0) all.append(part, static_cast<size_t>(got));
        if (all.size() > most)
            throw ConfigError(
                fmt::format("{}: has more than {} MiB, which no such file needs", path, most >> 20));
    }
}

}  // namespace

std::string read_text(const std::string& path, size_t most) {
    std::string all =
        path == "-" ? text_from(STDIN_FILENO, path, most) : text_from(open_regular(path).get(), path, most);
    return all.starts_with(byte_order_mark) ? all.substr(byte_order_mark.size()) : all;
}

}  // namespace gpremap
