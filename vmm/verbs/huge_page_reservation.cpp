#include "vmm/verbs/huge_page_reservation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

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

// Others may have changed the pool meanwhile: only what was added goes.
void give_back(uint64_t pages) {
    try {
        uint64_t now = pool_size();
        set_pool_size(now > pages ? now - pages : 0);
    } catch (const std::exception& error) {
        spdlog::error("{} huge pages stay reserved: {}", pages, error.what());
    }
}

}  // namespace

HugePageReservation::HugePageReservation(uint64_t pages) : pages_(pages) {
    if (pages == 0) return;
    const uint64_t before = pool_size();
    // The kernel would take all memory that is left before it found out.
    if (uint64_t most = read_host().memory_available / page_size; pages > most)
        throw HostLacks(fmt::format("{} huge pages of 2 MiB: the host has memory for {}", pages, most));
    const std::string through = set_pool_size(before + pages);
    const uint64_t now = pool_size();
    if (uint64_t got = now > before ? now - before : 0; got < pages) {
        set_pool_size(before);
        throw HostLacks(
            fmt::format("{} huge pages of 2 MiB: the host could make {}, through {}: free memory, or "
                        "reserve them soon after the host has started",
                        pages, got, through));
    }
    try {
        start_guardian();
    } catch (...) {
        give_back(pages);
        throw;
    }
    spdlog::info("{} huge pages of 2 MiB reserved through {}", pages, through);
}

HugePageReservation::~HugePageReservation() {
    if (pages_ == 0) return;
    alive_ = Descriptor();
    waitpid(guardian_, nullptr, 0);
}

void HugePageReservation::start_guardian() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
    Descriptor waits(ends[0]);
    alive_ = Descriptor(ends[1]);
    guardian_ = fork();
    if (guardian_ < 0) throw_errno("fork");
    if (guardian_ > 0) return;
    setsid();  // a signal to the terminal's processes is not for this one
    alive_ = Descriptor();
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    char nothing;
    while (read(waits.get(), &nothing, 1) < 0 && errno == EINTR) {
    }
    give_back(pages_);
    _exit(0);
}

}  // namespace gpremap
