#include "vmm/verbs/huge_page_reservation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <stdexcept>

#include "vmm/base/errors.h"
#include "vmm/host/facts.h"
#include "vmm/libvirt/node_pages.h"

namespace gpremap {

namespace {

constexpr uint64_t page_size = 2ull << 20;  // bytes
constexpr const char* setting = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

uint64_t pool_size() {
    std::ifstream file(setting);
    uint64_t pages = 0;
    if (!(file >> pages))
        throw HostLacks(fmt::format("huge pages of 2 MiB: {} cannot be read: this kernel has none", setting));
    return pages;
}

// The kernel takes as many as it finds, and does not say that they are fewer. Returns who was asked.
std::string set_pool_size(uint64_t pages) {
    if (auto connection = set_huge_pages_through_libvirt(pages)) return "libvirt (" + *connection + ")";
    std::ofstream file(setting);
    file << pages << std::flush;
    if (!file) throw HostLacks(fmt::format("{} cannot be written: run as root", setting));
    return setting;
}

// The pool keeps `least`. Others may have changed it meanwhile: only what was added goes.
void give_back(uint64_t pages, uint64_t least) {
    try {
        const uint64_t now = pool_size();
        const uint64_t then = std::max(least, now > pages ? now - pages : 0);
        if (then < now) set_pool_size(then);
    } catch (const std::exception& error) {
        spdlog::error("{} huge pages stay reserved: {}", pages, error.what());
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

HugePageReservation::HugePageReservation(uint64_t pages) : pages_(pages) {
    if (pages == 0) return;
    before_ = pool_size();
    // The kernel would take all memory that is left before it found out.
    if (uint64_t most = read_host().memory_available / page_size; pages > most)
        throw HostLacks(fmt::format("{} huge pages of 2 MiB: the host has memory for {}", pages, most));
    start_guardian();
    try {
        add_pages();
    } catch (...) {
        end_guardian();
        throw;
    }
}

HugePageReservation::~HugePageReservation() {
    if (pages_ > 0) end_guardian();
}

void HugePageReservation::add_pages() {
    const std::string through = set_pool_size(before_ + pages_);
    const uint64_t now = pool_size();
    if (uint64_t got = now > before_ ? now - before_ : 0; got < pages_)
        throw HostLacks(
            fmt::format("{} huge pages of 2 MiB: the host could make {}, through {}: free memory, or "
                        "reserve them soon after the host has started",
                        pages_, got, through));
    write_byte(alive_.get());
    spdlog::info("{} huge pages of 2 MiB reserved through {}", pages_, through);
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
    give_back(pages_, all_were_added ? 0 : before_);
    _exit(0);
}

void HugePageReservation::end_guardian() {
    alive_ = Descriptor();
    waitpid(guardian_, nullptr, 0);
}

}  // namespace gpremap
