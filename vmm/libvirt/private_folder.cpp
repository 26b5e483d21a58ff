#include "vmm/libvirt/private_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

std::filesystem::path make_folder() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    std::string name = (parent / "gpremap-XXXXXX").string();
    if (!error && !mkdtemp(name.data())) error.assign(errno, std::generic_category());
    if (!error) return name;
    const char* stated = getenv("TMPDIR");
    throw HostLacks("no folder can be made in " + (stated ? std::string(stated) : parent.string()) + ": " +
                    error.message() + ": name one in TMPDIR that this user may write to");
}

std::filesystem::path make_open_folder() {
    using std::filesystem::perms;
    std::filesystem::path folder = make_folder();
    std::filesystem::permissions(folder, perms::owner_all | perms::group_exec | perms::others_exec);
    return folder;
}

std::string command_line_of(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/cmdline", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// In a process of its own, where what throws ends that. A daemon's QEMU may be another user's: the daemon ends it, as its connection has ended.
void clean_up(const std::filesystem::path& folder) {
    constexpr std::chrono::milliseconds look(20);
    for (int looks = 0; looks < 500 && end_qemu_with(folder.string()); looks++)
        std::this_thread::sleep_for(look);
    std::error_code error;
    std::filesystem::remove_all(folder, error);
    if (error) Guardian::say(folder.string() + " cannot be removed: " + error.message());
}

}  // namespace

PrivateFolder::Folder::Folder() : path(make_open_folder()) {}

PrivateFolder::Folder::~Folder() {
    std::error_code error;  // the guardian has removed it, or said that it cannot be
    std::filesystem::remove(path, error);
}

PrivateFolder::PrivateFolder() : guardian_([this](bool) { clean_up(path()); }) {}

bool end_qemu_with(const std::string& text) {
    bool was_there = false;
    std::error_code error;
    using Walk = std::filesystem::directory_iterator;
    for (Walk walk("/proc", error); !error && walk != Walk(); walk.increment(error)) {
        const std::string pid = walk->path().filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string line = command_line_of(pid);
        const std::filesystem::path program = line.substr(0, line.find('\0'));
        if (!program.filename().string().starts_with("qemu-") || line.find(text) == std::string::npos)
            continue;
        was_there = true;
        kill(std::stoi(pid), SIGKILL);
    }
    return was_there;
}

}  // namespace gpremap
