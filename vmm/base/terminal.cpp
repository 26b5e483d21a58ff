#include "vmm/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace gpremap {

namespace {

constexpr size_t usual_columns = 110;

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::optional<size_t> stated_columns() {
    const std::string_view text = variable("COLUMNS");
    size_t columns = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), columns);
    if (error != std::errc() || end != text.data() + text.size() || columns == 0) return std::nullopt;
    return columns;
}

}  // namespace

bool can_redraw(int fd) {
    const std::string_view terminal = variable("TERM");
    return isatty(fd) && !terminal.empty() && terminal != "dumb";
}

Colour colour_for(int fd) {
    return can_redraw(fd) && variable("NO_COLOR").empty() ? Colour::ansi : Colour::none;
}

size_t columns_for(int fd) {
    if (const auto stated = stated_columns()) return *stated;
    winsize size = {};
    if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return usual_columns;
}

}  // namespace gpremap
