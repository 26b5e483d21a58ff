#include "vmm/compare/resized_linux.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

constexpr uint64_t mib = 1ull << 20;
constexpr uint64_t large_page = 2 * mib;

// What Linux keeps free, its watermarks, and the page structures and tables of the memory that is added.
uint64_t spare(uint64_t most) {
    return 192 * mib + most / 32;
}

}  // namespace

std::string kernel_parameters(const GuestSettings& settings) {
    return fmt::format("init_on_alloc={} memhp_default_state={}", settings.init_on_alloc ? 1 : 0,
                       settings.memhp_default_state);
}

uint64_t ResizedLinux::base_memory(const Schedule& schedule) {
    return (384 * mib + schedule.most() / 16 + large_page - 1) / large_page * large_page;
}

// Until the balloon is as large as it is to be and memory that was there at boot is in use.
void ResizedLinux::settle() {
    constexpr std::chrono::milliseconds look(300);
    constexpr unsigned same_enough = 3;
    const Clock::time_point end = Clock::now() + waiter_.deadline();
    for (unsigned same = 0; same < same_enough;) {
        if (Clock::now() >= end) give_up("did not come to its initial memory until the deadline");
        waiter_.sleep(look);
        const uint64_t total = std::stoull(ask("total", "total"));
        same = total == initial_total_ ? same + 1 : 0;
        initial_total_ = total;
    }
    const uint64_t used = schedule_.initial - schedule_.least();
    ask(fmt::format("hold {}", spare(schedule_.most()) + used), "held");
    use(schedule_.initial);
    ask("verify", "right");
}

// ---- talking to it ----

void ResizedLinux::give_up(const std::string& what) {
    throw GuestDied(fmt::format("the guest ({}) {}{}", name_of(way_), what, last_words()));
}

std::string ResizedLinux::answer(const std::string& expected) {
    const std::string text = receive().text;
    if (!text.starts_with(expected)) give_up("answered '" + text + "', expected " + expected);
    return text.substr(std::min(text.size(), expected.size() + 1));
}

std::string ResizedLinux::ask(const std::string& request, const std::string& expected) {
    send(request);
    return answer(expected);
}

Clock::time_point ResizedLinux::take_reached(Measured& measured) {
    const GuestChannel::Line line = receive();
    std::istringstream words(line.text);
    std::string reached;
    if (!(words >> reached >> measured.lost >> measured.pause) || reached != "reached")
        give_up("answered '" + line.text + "', expected reached");
    return line.at;
}

// Of the range, what is above the schedule's least: that much is new memory. Returns how long it took, in ns.
std::string ResizedLinux::use(uint64_t size) {
    return ask(fmt::format("use {}", size - schedule_.least()), "used");
}

// QEMU unmaps a DIMM's memory only a while after it has told of it: when none of its threads looks at it any
// more.
uint64_t ResizedLinux::settled_host_bytes() {
    constexpr std::chrono::milliseconds look(100);
    constexpr unsigned least_looks = 4, most_looks = 20;
    uint64_t last = host_bytes();
    for (unsigned looks = 0; looks < most_looks; looks++) {
        waiter_.sleep(look);
        const uint64_t now = host_bytes();
        if (looks >= least_looks && now == last) break;
        last = now;
    }
    return last;
}

// ---- resizing ----

Measured ResizedLinux::resize(const Resizing& resizing) {
    if (!resizing.grows()) use(resizing.to);
    Measured measured;
    measured.host_before = host_bytes();
    const uint64_t total = initial_total_ + resizing.to - schedule_.initial;
    ask(fmt::format("await {} {}", resizing.grows() ? "least" : "most", total), "watching");
    change(resizing, measured);
    if (resizing.grows()) measured.install = std::stoull(use(resizing.to));
    measured.host_after = settled_host_bytes();
    ask("verify", "right");
    return measured;
}

}  // namespace gpremap
