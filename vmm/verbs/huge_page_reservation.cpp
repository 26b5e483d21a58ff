#include "vmm/verbs/huge_page_reservation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <stdexcept>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/host/facts.h"
#include "vmm/libvirt/node_pages.h"

namespace gpremap {

namespace {

std::string setting_of(uint64_t size) {
    return fmt::format("/sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages", size >> 10);
}

uint64_t pool_size(uint64_t size) {
    std::ifstream file(setting_of(size));
    uint64_t pages = 0;
    if (!(file >> pages))
        throw HostLacks(
            fmt::format("huge pages of {}: {} cannot be read: this kernel has none, on this processor",
                        format_size(size), setting_of(size)));
    return pages;
}

// The kernel takes as many as it finds, and does not say that they are fewer. Returns who was asked.
std::string set_pool_size(uint64_t size, uint64_t pages) {
    if (auto connection = set_huge_pages_through_libvirt(size, pages)) return "libvirt (" + *connection + ")";
    const std::string setting = setting_of(size);
    std::ofstream file(setting);
    file << pages << std::flush;
    if (!file) throw HostLacks(fmt::format("{} cannot be written: run as root", setting));
    return setting;
}

// The pool keeps `least`. Others may have changed it meanwhile: only what was added goes.
void give_back(const HugePagesWanted& added, uint64_t least) {
    try {
        const uint64_t now = pool_size(added.size);
        const uint64_t then = std::max(least, now > added.count ? now - added.count : 0);
        if (then < now) set_pool_size(added.size, then);
    } catch (const std::exception& error) {
        spdlog::error("{} huge pages of {} stay reserved: {}", added.count, format_size(added.size),
                      error.what());
    }
}

// False at the end of what comes.
bool read_byte(int from) {
    char nothing;
    ssize_t got;
    while ((got = read(from, &nothing, 1)) < 0 && errno == EINTR) {
    }
    return got == 1;
}

void write_byte(int to) {
    const char nothing = 0;
    while (::send(to, &nothing, 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

}  // namespace

tl::expected<HugePagesWanted, std::string_view> parse_huge_pages(std::string_view text) {
    constexpr std::string_view expected = "N or 2M:N, of 2 MiB, or 1G:N, of 1 GiB; N is a number of pages";
    HugePagesWanted wanted;
    if (const auto colon = text.find(':'); colon != text.npos) {
        const std::string_view size = text.substr(0, colon);
        if (size != "2M" && size != "1G") return tl::unexpected(expected);
        if (size == "1G") wanted.size = 1ull << 30;
        text.remove_prefix(colon + 1);
    }
    const char* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, wanted.count);
    if (error != std::errc() || stopped != end) return tl::unexpected(expected);
    return wanted;
}

HugePageReservation::HugePageReservation(const HugePagesWanted& wanted) : wanted_(wanted) {
    if (wanted.count == 0) return;
    before_ = pool_size(wanted.size);
    // The kernel would take all memory that is left before it found out.
    if (uint64_t most = read_host().memory_available / wanted.size; wanted.count > most)
        throw HostLacks(fmt::format("{}: the host has memory for {}", name(), most));
    start_guardian();
    try {
        add_pages();
    } catch (...) {
        end_guardian();
        throw;
    }
}

HugePageReservation::~HugePageReservation() {
    if (wanted_.count > 0) end_guardian();
}

std::string HugePageReservation::name() const {
    return fmt::format("{} huge pages of {}", wanted_.count, format_size(wanted_.size));
}

void HugePageReservation::add_pages() {
    const std::string through = set_pool_size(wanted_.size, before_ + wanted_.count);
    const uint64_t now = pool_size(wanted_.size);
    if (uint64_t got = now > before_ ? now - before_ : 0; got < wanted_.count)
        throw HostLacks(
            fmt::format("{}: the host could make {}, through {}: free memory, or "
                        "reserve them soon after the host has started",
                        name(), got, through));
    write_byte(alive_.get());
    spdlog::info("{} reserved through {}", name(), through);
}

void HugePageReservation::start_guardian() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    Descriptor guardians(ends[0]);
    alive_ = Descriptor(ends[1]);
    guardian_ = fork();
    if (guardian_ < 0) throw_errno("fork");
    if (guardian_ == 0) {
        alive_ = Descriptor();
        guard(guardians.get());
    }
    guardians = Descriptor();
    if (!read_byte(alive_.get())) throw std::runtime_error("what gives huge pages back has not started");
}

// Before this process has said that all pages are there, any of them may be.
void HugePageReservation::guard(int parent) const {
    setsid();  // a signal to the terminal's processes is not for this one
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    write_byte(parent);
    const bool all_were_added = read_byte(parent);
    if (all_were_added) read_byte(parent);
    give_back(wanted_, all_were_added ? 0 : before_);
    _exit(0);
}

void HugePageReservation::end_guardian() {
    alive_ = Descriptor();
    waitpid(guardian_, nullptr, 0);
}

}  // namespace gpremap
