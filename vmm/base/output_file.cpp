#include "vmm/base/output_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <utility>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"

namespace gpremap {

namespace {

std::string folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path();
    return folder.empty() ? "." : folder;
}

// A link in /proc leads to a descriptor, and not to the name that readlink() gives.
bool is_in_proc(const std::string& path) {
    struct statfs system = {};
    return statfs(folder_of(path).c_str(), &system) == 0 && system.f_type == PROC_SUPER_MAGIC;
}

// The end of the links that begin at `path`, which need not exist; a link in /proc is an end. Empty for links
// that have none.
std::string end_of_links(std::string path) {
    constexpr unsigned most = 40;  // as in the kernel
    for (unsigned links = 0; links < most; links++) {
        std::error_code error;
        const std::filesystem::path next = std::filesystem::read_symlink(path, error);
        if (error || is_in_proc(path)) return path;
        path = next.is_absolute() ? next : std::filesystem::path(folder_of(path)) / next;
    }
    return "";
}

bool is_standard_output(const struct stat& file) {
    struct stat output = {};
    return fstat(STDOUT_FILENO, &output) == 0 && output.st_dev == file.st_dev && output.st_ino == file.st_ino;
}

// Returns errno, 0 where it could.
int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        text.remove_prefix(static_cast<size_t>(written));
    }
    return 0;
}

// A file beside `target`; the descriptor of none, and errno, where the folder takes none. `name` becomes its
// path.
Descriptor make_beside(const std::string& target, std::string& name) {
    name = folder_of(target) + "/.gpremap-XXXXXX";
    return Descriptor(mkostemp(name.data(), O_CLOEXEC));
}

// What open() would give a new file.
mode_t mode_of_new_files() {
    const mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

// Returns errno. The owner first: a change of it takes rights away.
int dress_as(int fd, const std::string& target) {
    struct stat old = {};
    if (stat(target.c_str(), &old) != 0) return fchmod(fd, mode_of_new_files()) == 0 ? 0 : errno;
    struct stat made = {};
    if (fstat(fd, &made) != 0) return errno;
    if ((made.st_uid != old.st_uid || made.st_gid != old.st_gid) && fchown(fd, old.st_uid, old.st_gid) != 0)
        return errno;
    return fchmod(fd, old.st_mode & 07777) == 0 ? 0 : errno;
}

}  // namespace

OutputFile::OutputFile(std::string option, const std::string& path)
    : option_(std::move(option)), path_(path), target_(end_of_links(path)), kind_(kind_of(path)) {
    if (kind_ == Kind::whole) try_whole();
    if (kind_ == Kind::whole || kind_ == Kind::standard_output) return;
    // That a pipe has no reader yet is no error.
    if (access(target_.c_str(), W_OK) != 0) throw ConfigError(problem(errno));
}

OutputFile::Kind OutputFile::kind_of(const std::string& path) {
    if (path == "-") return Kind::standard_output;
    if (target_.empty()) throw ConfigError(problem(ELOOP));
    struct stat file = {};
    if (stat(target_.c_str(), &file) != 0) {
        if (errno != ENOENT || path.ends_with('/'))
            throw ConfigError(problem(errno == ENOENT ? EISDIR : errno));
        return Kind::whole;
    }
    if (S_ISDIR(file.st_mode)) throw ConfigError(problem(EISDIR));
    const bool regular = S_ISREG(file.st_mode) && !is_in_proc(target_);
    if (!regular) return is_standard_output(file) ? Kind::standard_output : Kind::stream;
    // To be told so, where the file itself may not be written: renaming would not ask.
    if (access(target_.c_str(), W_OK) != 0) throw ConfigError(problem(errno));
    return Kind::whole;
}

void OutputFile::try_whole() const {
    std::string name;
    const Descriptor made = make_beside(target_, name);
    const int error = errno;
    if (made.valid()) {
        unlink(name.c_str());
    } else if (access(target_.c_str(), W_OK) != 0) {
        throw ConfigError(problem(error));
    }
}

std::string OutputFile::problem(int error) const {
    const char* why = error == ENOSPC   ? "no space left: free some, or name a file elsewhere"
                      : error == EISDIR ? "it is a folder: name a file in it"
                                        : std::strerror(error);
    return option_ + " " + path_ + ": cannot be written: " + why;
}

std::optional<std::string> OutputFile::write(std::string_view text) const {
    int error = 0;
    switch (kind_) {
        case Kind::standard_output:
            // That it takes no more, whoever ends the program finds.
            std::cout << text << std::flush;
            return std::nullopt;
        case Kind::whole:
            error = write_whole(text);
            break;
        case Kind::stream:
            error = write_direct(text, O_APPEND);
            break;
    }
    if (error == 0) return std::nullopt;
    return problem(error);
}

int OutputFile::write_whole(std::string_view text) const {
    std::string name;
    const Descriptor made = make_beside(target_, name);
    if (!made.valid()) return write_direct(text, O_TRUNC);
    if (dress_as(made.get(), target_) != 0) {
        unlink(name.c_str());
        return write_direct(text, O_TRUNC);
    }
    int error = write_all(made.get(), text);
    if (error == 0 && fsync(made.get()) != 0) error = errno;
    if (error == 0 && rename(name.c_str(), target_.c_str()) != 0) error = errno;
    if (error != 0) unlink(name.c_str());
    return error;
}

int OutputFile::write_direct(std::string_view text, int flags) const {
    const Descriptor file(open(target_.c_str(), O_WRONLY | O_CLOEXEC | flags));
    return file.valid() ? write_all(file.get(), text) : errno;
}

int write_result(const OutputFile& file, std::string_view text, int status) {
    constexpr int not_written = 2;  // an exit status
    const auto problem = file.write(text);
    if (!problem) return status;
    spdlog::error("{}", *problem);
    return status == 0 ? not_written : status;
}

}  // namespace gpremap
