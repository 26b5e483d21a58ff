#include "vmm/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace gpremap {

Progress::Progress(size_t total, ShowProgress show)
    : total_(total), visible_(show == ShowProgress::yes && total > 0 && isatty(STDERR_FILENO)) {}

void Progress::show(const std::string& doing) {
    constexpr size_t width = 20;
    constexpr size_t longest_text = 50;
    if (!visible_) return;
    size_t filled = std::min(width, width * done_ / total_);
    fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {}/{} {}\x1b[K", "", filled, "", width - filled, done_ + 1, total_,
               doing.substr(0, longest_text));
    std::fflush(stderr);
    drawn_ = true;
}

void Progress::advance() {
    done_++;
    clear();
}

void Progress::clear() {
    if (!drawn_) return;
    fmt::print(stderr, "\r\x1b[K");
    std::fflush(stderr);
    drawn_ = false;
}

}  // namespace gpremap
