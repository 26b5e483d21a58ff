#include "vmm/compare/guest_image.h"

#include <fcntl.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/compare/needs.h"

namespace gpremap {

namespace {

std::string contents(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    std::string all = text.str();
    while (!all.empty() && all.back() == '\n') all.pop_back();
    return all;
}

// A child in a process group of its own, so that Ctrl-C reaches it only through us. Ended with its owner.
class Child {
  public:
    Child(const std::vector<std::string>& command, const std::string& output, const std::string& errors) {
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        const int flags = O_WRONLY | O_CREAT | O_TRUNC;
        posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), flags, 0600);
        posix_spawn_file_actions_addopen(&files, STDERR_FILENO, errors.c_str(), flags, 0600);
        posix_spawnattr_t attributes;
        posix_spawnattr_init(&attributes);
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
        std::vector<char*> arguments;
        for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        const int error = posix_spawnp(&pid_, arguments[0], &files, &attributes, arguments.data(), environ);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attributes);
        if (error != 0) throw std::system_error(error, std::generic_category(), "starting " + command[0]);
    }
    ~Child() {
        if (pid_ <= 0) return;
        kill(-pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    bool has_ended() {
        if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = 0;
        return pid_ == 0;
    }
    bool succeeded() const { return WIFEXITED(status_) && WEXITSTATUS(status_) == 0; }

  private:
    pid_t pid_ = 0;
    int status_ = 0;
};

}  // namespace

GuestImage make_guest_image(const std::filesystem::path& folder, Waiter& waiter) {
    constexpr std::chrono::minutes longest(10);  // a download
    spdlog::info("making the guest's image; the first time, this downloads Debian's kernel");
    const std::filesystem::path output = folder / "image.output", errors = folder / "image.errors";
    const GuestFiles files = guest_files();
    Child child({"python3", "-B", files.image, files.program, folder.string()}, output, errors);
    if (!waiter.wait([&] { return child.has_ended(); }, longest))
        throw HostLacks("the guest's kernel was not downloaded within 10 minutes: see whether apt works");
    if (!child.succeeded()) throw HostLacks("the guest's image cannot be made: " + contents(errors));
    return {folder / "kernel", folder / "initramfs", contents(output)};
}

}  // namespace gpremap
