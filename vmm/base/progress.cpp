#include "vmm/base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "vmm/base/terminal.h"

namespace gpremap {

namespace {

// The first `columns` characters; a character of UTF-8 is not cut in half.
std::string cut(const std::string& text, size_t columns) {
    size_t end = 0;
    for (size_t seen = 0; end < text.size(); end++)
        if ((text[end] & 0xc0) != 0x80 && seen++ == columns) break;
    return text.substr(0, end);
}

// From the last of so many lines.
std::string to_first_line(size_t lines) {
    return lines > 1 ? fmt::format("\r\x1b[{}A", lines - 1) : "\r";
}

std::string line_of(size_t done, size_t total, const std::string& doing, size_t columns) {
    constexpr size_t width = 20, longest_text = 50, least_columns_for_bar = 60;
    std::string line = fmt::format("{}/{} {}", done + 1, total, cut(doing, longest_text));
    if (columns >= least_columns_for_bar) {
        const size_t filled = std::min(width, width * done / total);
        line = fmt::format("[{:#<{}}{:.<{}}] {}", "", filled, "", width - filled, line);
    }
    // In the last column, a terminal may go on in the next line.
    return cut(line, columns - 1);
}

}  // namespace

Progress::Progress(size_t total, ShowProgress show)
    : total_(total), visible_(show == ShowProgress::yes && total > 0 && can_redraw(STDERR_FILENO)) {}

// In one write: a terminal shows nothing half-drawn.
void Progress::show(const std::string& doing, const std::vector<std::string>& below) {
    if (!visible_) return;
    const size_t columns = columns_for(STDERR_FILENO);
    std::string text = to_first_line(drawn_) + line_of(done_, total_, doing, columns) + "\x1b[K";
    for (const std::string& line : below) text += "\n" + cut(line, columns - 1) + "\x1b[K";
    drawn_ = 1 + below.size();
    fmt::print(stderr, "{}\x1b[J", text);
    std::fflush(stderr);
}

void Progress::advance() {
    done_++;
    clear();
}

void Progress::clear() {
    if (drawn_ == 0) return;
    fmt::print(stderr, "{}\x1b[J", to_first_line(drawn_));
    std::fflush(stderr);
    drawn_ = 0;
}

}  // namespace gpremap
