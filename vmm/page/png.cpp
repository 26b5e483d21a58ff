#include "vmm/page/png.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"

namespace gpremap {

namespace {

Descriptor memory_file(const std::string& text) {
    Descriptor file(memfd_create("chart", MFD_CLOEXEC));
    if (!file.valid()) throw_errno("memfd_create");
    for (size_t written = 0; written < text.size();) {
        const ssize_t part =
            pwrite(file.get(), text.data() + written, text.size() - written, static_cast<off_t>(written));
        if (part < 0) throw_errno("writing a chart to memory");
        written += static_cast<size_t>(part);
    }
    return file;
}

std::string text_in(const Descriptor& file) {
    std::string text(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)), '\0');
    if (pread(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
        throw_errno("reading a picture from memory");
    return text;
}

// Returns what waitpid() says of it.
int run_converter(const Descriptor& in, const Descriptor& out) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out.get(), STDOUT_FILENO);
    const char* const command[] = {"rsvg-convert", "--zoom=2", "--format=png", nullptr};
    pid_t child = 0;
    const int error = posix_spawnp(&child, command[0], &files, nullptr, const_cast<char**>(command), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error == ENOENT)
        throw HostLacks("--png: rsvg-convert is not installed: apt-get install librsvg2-bin, or take --svg");
    if (error != 0) throw std::system_error(error, std::generic_category(), "starting rsvg-convert");
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) throw_errno("waiting for rsvg-convert");
    return status;
}

}  // namespace

std::string png_of(const std::string& svg) {
    const Descriptor in = memory_file(svg), out = memory_file("");
    const int status = run_converter(in, out);
    if (status != 0) throw std::runtime_error(fmt::format("rsvg-convert failed (status {:#x})", status));
    return text_in(out);
}

}  // namespace gpremap
