#include "vmm/compare/needs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "vmm/host/installation.h"

namespace gpremap {

namespace {

using Path = std::filesystem::path;

bool is_there(const Path& path) {
    std::error_code ignored;
    return std::filesystem::exists(path, ignored);
}

// Where PATH has it; empty where it does not.
Path find_program(const std::string& name) {
    const char* path = std::getenv("PATH");
    std::istringstream folders(path ? path : "/usr/bin:/bin");
    for (std::string folder; std::getline(folders, folder, ':');)
        if (const Path program = Path(folder) / name; access(program.c_str(), X_OK) == 0) return program;
    return {};
}

CompareNeed examine_program(const std::string& name, const std::string& package, const std::string& purpose) {
    const Path found = find_program(name);
    if (!found.empty()) return {name, found, ""};
    return {name, "it is not in PATH: " + purpose,
            fmt::format("as root: apt-get install {} (`./bootstrap compare` does)", package)};
}

CompareNeed examine_guest(const GuestFiles& files) {
    const std::string what = "resize_guest";
    for (const Path& file : {files.program, files.image, files.kernel})
        if (!is_there(file))
            return {what,
                    fmt::format("{} is not there: the program of compare's guest, and what makes its image",
                                file.string()),
                    "./bootstrap compare, which builds it (or: ninja -C build compare_guest)"};
    return {what, files.program, ""};
}

// The script knows where it is kept. Where none is kept yet, it is downloaded when it is needed.
CompareNeed examine_kernel(const GuestFiles& files) {
    const std::string what = kernel_need, download = files.kernel.string();
    if (!is_there(files.kernel) || find_program("python3").empty())
        return {what, "cannot be looked for without the above", "./bootstrap compare, which downloads it"};
    const std::string command = "python3 -B '" + files.kernel.string() + "' --cached 2>&1";
    FILE* const script = popen(command.c_str(), "r");
    if (!script) return {what, "python3 cannot be run", "see `ulimit -n` and `ulimit -u`"};
    std::string said;
    for (int c; (c = std::getc(script)) != EOF;)
        if (c != '\n') said += static_cast<char>(c);
    const bool is_kept = pclose(script) == 0;
    return {what, said, is_kept ? "" : download + ", which downloads it"};
}

}  // namespace

GuestFiles guest_files() {
    const Path root = guests_folder();
    return {root / "baseline/resize_guest", root / "baseline/resize_image.py",
            root / "linux/image/kernel.py"};
}

std::vector<CompareNeed> examine_compare(const std::optional<std::string>& uri) {
    const GuestFiles files = guest_files();
    std::vector<CompareNeed> needs{
        examine_guest(files), examine_program("python3", "python3", "it makes the image of compare's guest"),
        examine_program("busybox", "busybox-static", "user space of compare's guest"),
        examine_program("cpio", "cpio", "it packs the image of compare's guest")};
    if (uri && uri->empty())
        needs.push_back(
            examine_program("qemu-system-x86_64", "qemu-system-x86", "the guest that is compared with"));
    needs.push_back(examine_kernel(files));
    return needs;
}

}  // namespace gpremap
