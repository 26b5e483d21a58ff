#include "vmm/report/live_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "vmm/base/units.h"
#include "vmm/page/amounts.h"

namespace gpremap {

namespace {

constexpr uint64_t part_ns = 500'000'000;
constexpr size_t most_parts = 30;     // of a workload, as many characters
constexpr size_t most_workloads = 4;  // lines

// A character for each rate, from nothing to the most of them.
std::string sparkline(const std::vector<double>& rates) {
    constexpr std::string_view levels = "_.:-=+*#@";
    const double most = rates.empty() ? 0 : *std::ranges::max_element(rates);
    std::string line;
    for (double rate : rates) {
        const double share = most > 0 ? rate / most : 0;
        line += levels[static_cast<size_t>(share * static_cast<double>(levels.size() - 1) + 0.5)];
    }
    return line;
}

char letter_of(const MapEntry& entry) {
    const uint64_t bytes = remap::stage2::page_size(entry.outlook.largest).bytes;
    return bytes >= 1u << 30 ? 'G' : bytes >= 2u << 20 ? 'M' : 'k';
}

// Each range as long as its share of all, but one character at least.
std::string line_of_map(const std::vector<MapEntry>& map) {
    constexpr uint64_t columns = 30;
    constexpr size_t most_ranges = 12;
    uint64_t total = 0;
    for (const MapEntry& entry : map) total += entry.size;
    std::string bar;
    for (size_t i = 0; i < std::min(map.size(), most_ranges); i++) {
        if (i > 0 && map[i - 1].at + map[i - 1].size != map[i].at) bar += '.';
        const auto share =
            static_cast<double>(map[i].size) / static_cast<double>(std::max<uint64_t>(total, 1));
        bar.append(std::max<size_t>(1, static_cast<size_t>(share * columns)), letter_of(map[i]));
    }
    if (map.size() > most_ranges) bar += "...";
    return fmt::format("{:<9} {} in {} ranges  [{}]  G 1 GiB pages, M 2 MiB, k 4 KiB", "map",
                       format_size(total), map.size(), bar);
}

}  // namespace

void LiveView::begin(const std::string& doing) {
    std::lock_guard lock(mutex_);
    doing_ = doing;
    draw();
}

void LiveView::advance() {
    std::lock_guard lock(mutex_);
    progress_.advance();
    is_drawn_ = false;
}

void LiveView::clear() {
    std::lock_guard lock(mutex_);
    progress_.clear();
    is_drawn_ = false;
}

void LiveView::add(const WorkloadSeries& rows) {
    if (!progress_.is_visible()) return;
    std::lock_guard lock(mutex_);
    count(of(rows), rows);
    draw_again();
}

void LiveView::add(const std::vector<MapEntry>& map) {
    if (!progress_.is_visible()) return;
    std::lock_guard lock(mutex_);
    map_line_ = line_of_map(map);
    draw_again();
}

LiveView::Lately& LiveView::of(const WorkloadSeries& rows) {
    const auto found = std::ranges::find(workloads_, rows.workload, &Lately::workload);
    if (found != workloads_.end()) return *found;
    Lately& lately = workloads_.emplace_back();
    lately.workload = rows.workload;
    lately.begin_ns = lately.end_ns = rows.t_ns.empty() ? 0 : rows.t_ns.front();
    return lately;
}

void LiveView::count(Lately& lately, const WorkloadSeries& rows) {
    for (size_t row = 0; row < rows.t_ns.size(); row++) {
        lately.counts_bytes |= rows.bytes[row] > 0;
        lately.amount += lately.counts_bytes ? rows.bytes[row] : rows.ops[row];
        lately.longest_ns = std::max(lately.longest_ns, rows.max_ns[row]);
        lately.end_ns = rows.t_ns[row];
        const uint64_t ns = lately.end_ns - lately.begin_ns;
        if (ns < part_ns) continue;
        lately.rates.push_back(static_cast<double>(lately.amount) * 1e9 / static_cast<double>(ns));
        if (lately.rates.size() > most_parts) lately.rates.erase(lately.rates.begin());
        lately.begin_ns = lately.end_ns;
        lately.amount = 0;
    }
}

std::string LiveView::line_of(const Lately& lately) {
    if (lately.rates.empty()) return fmt::format("{:<9} ...", lately.workload);
    return fmt::format("{:<9} {:>10}  longest {:>7}  {}", lately.workload,
                       shown_rate(lately.rates.back(), lately.counts_bytes ? "B" : ""),
                       shown_ns(static_cast<double>(lately.longest_ns)), sparkline(lately.rates));
}

void LiveView::draw() {
    std::vector<std::string> below;
    for (size_t i = 0; i < std::min(workloads_.size(), most_workloads); i++)
        below.push_back(line_of(workloads_[i]));
    if (!map_line_.empty()) below.push_back(map_line_);
    progress_.show(doing_, below);
    is_drawn_ = true;
    last_drawn_ = Clock::now();
}

void LiveView::draw_again() {
    constexpr std::chrono::milliseconds pause{200};
    if (is_drawn_ && Clock::now() - last_drawn_ >= pause) draw();
}

}  // namespace gpremap
