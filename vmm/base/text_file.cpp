#include "vmm/base/text_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

// Some editors begin a file with it. It says that the file is UTF-8, which all of these are.
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

class OpenFile {
  public:
    // A pipe without a writer is opened, too, instead of being waited for.
    explicit OpenFile(const std::string& path)
        : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (descriptor_ < 0) fail();
    }
    ~OpenFile() {
        if (descriptor_ >= 0) close(descriptor_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    void refuse_what_has_no_end() const {
        struct stat status {};
        if (fstat(descriptor_, &status) != 0) fail();
        if (S_ISDIR(status.st_mode)) fail(EISDIR);
        if (!S_ISREG(status.st_mode)) throw ConfigError(path_ + ": not a regular file");
    }

    // At most `most` bytes. What /proc has says that it is empty, so that its size says nothing.
    std::string text(size_t most) const {
        std::string all;
        char part[65536];
        while (all.size() < most) {
            ssize_t got = read(descriptor_, part, std::min(sizeof part, most - all.size()));
            if (got < 0 && errno != EINTR) fail();
            if (got == 0) break;
            if (got > 0) all.append(part, static_cast<size_t>(got));
        }
        return all;
    }

  private:
    [[noreturn]] void fail(int error = errno) const {
        throw ConfigError(path_ + ": cannot be read: " + std::strerror(error));
    }

    const std::string& path_;
    int descriptor_;
};

}  // namespace

std::string read_text(const std::string& path) {
    const OpenFile file(path);
    file.refuse_what_has_no_end();
    std::string all = file.text(largest_text + 1);
    if (all.size() > largest_text)
        throw ConfigError(
            fmt::format("{}: has more than {} MiB, which no such file needs", path, largest_text >> 20));
    return all.starts_with(byte_order_mark) ? all.substr(byte_order_mark.size()) : all;
}

}  // namespace gpremap
