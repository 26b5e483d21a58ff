#include "vmm/host/huge_page_account.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "vmm/base/units.h"

namespace gpremap {
namespace {

bool is_as_much_taken(const HugePages& a, const HugePages& b) {
    return a.promised == b.promised && a.in_use() == b.in_use();
}

}  // namespace

std::string describe(const HugePages& pages, uint64_t size) {
    return fmt::format("{} pages of {}, {} free, {} promised to mappings", pages.total, format_size(size),
                       pages.free, pages.promised);
}

HugePageAccount::HugePageAccount(uint64_t size) : size_(size) {
    if (size != 0) before_ = read_huge_pages(size);
}

std::optional<std::string> HugePageAccount::difference() const {
    using Clock = std::chrono::steady_clock;
    if (!before_) return std::nullopt;
    for (const auto end = Clock::now() + std::chrono::seconds(1);;) {
        const auto now = read_huge_pages(size_);
        if (!now || is_as_much_taken(*before_, *now)) return std::nullopt;
        if (Clock::now() > end)
            return fmt::format(
                "the host's pool of huge pages is not as it was, a second later neither: before, {}; now, "
                "{}. "
                "Unless another process uses the pool, they are lost",
                describe(*before_, size_), describe(*now, size_));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

}  // namespace gpremap
