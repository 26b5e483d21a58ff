#include "vmm/guests/linux/console.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

// The second takes what is typed, too.
bool is_terminal(const std::string& file) {
    return file == "-" || file == "terminal";
}

Descriptor open_console(const std::string& file) {
    if (file.empty() || is_terminal(file)) return Descriptor();
    Descriptor opened(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!opened.valid())
        throw ConfigError("linux.console: " + file + ": " + std::strerror(errno) +
                          ": expected a file that can be written");
    return opened;
}

}  // namespace

Console::Console(const std::string& file, std::size_t most_in_file)
    : file_(open_console(file)), to_terminal_(is_terminal(file)), most_in_file_(most_in_file) {}

void Console::put(char byte) {
    const std::lock_guard lock(mutex_);
    text_ += byte;
    if (text_.size() >= 2 * kept) text_.erase(0, text_.size() - kept);
    if (to_terminal_ || in_file_ < most_in_file_) put_out({&byte, 1});
    if (!to_terminal_ && ++in_file_ == most_in_file_) put_out("\n[this file has no room for more]\n");
}

// A full disk costs the guest nothing: what matters is kept.
void Console::put_out(std::string_view text) const {
    const int target = to_terminal_ ? STDERR_FILENO : file_.get();
    if (target >= 0 && write(target, text.data(), text.size()) < 0) return;
}

std::string Console::last_lines(unsigned lines) const {
    const std::lock_guard lock(mutex_);
    std::string_view rest = text_;
    while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r')) rest.remove_suffix(1);
    if (rest.empty()) return "; its console has said nothing";
    std::string said;
    for (unsigned i = 0; i < lines && !rest.empty(); i++) {
        const std::size_t begin = rest.rfind('\n') + 1;  // 0 where there is none
        std::string line = "\n  ";
        // What a terminal could take for more than text is left out.
        for (const char byte : rest.substr(begin))
            if (byte >= ' ' && byte < 0x7f) line += byte;
        said.insert(0, line);
        rest = rest.substr(0, begin == 0 ? 0 : begin - 1);
    }
    return "; the console's last lines:" + said;
}

}  // namespace gpremap
