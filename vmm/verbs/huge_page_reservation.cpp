#include "vmm/verbs/huge_page_reservation.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <fstream>

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
        Guardian::say(fmt::format("{} huge pages of {} stay reserved: {}", added.count,
                                  format_size(added.size), error.what()));
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
    // Before it is told that all pages are there, any of them may be.
    guardian_.emplace([this](bool all_were_added) { give_back(wanted_, all_were_added ? 0 : before_); });
    add_pages();
    guardian_->notify();
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
    spdlog::info("{} reserved through {}", name(), through);
}

}  // namespace gpremap
