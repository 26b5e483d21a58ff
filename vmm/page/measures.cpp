#include "vmm/page/measures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "vmm/base/spread.h"

namespace gpremap {

namespace {

constexpr size_t usual_parts = 30;
constexpr uint64_t seed = 1;  // of the intervals: the same result gives the same page

struct Span {
    double begin = 0;
    double end = 0;
};

// Of all calls, in the order of their beginnings.
std::vector<Span> calls_in(const std::vector<ShownStep>& steps) {
    std::vector<Span> calls;
    for (const ShownStep& step : steps)
        if (step.call_ns > 0) calls.push_back({step.begin_ns, step.end_ns});
    std::ranges::sort(calls, {}, &Span::begin);
    return calls;
}

// Whether a call is in each row; the first row begins where nobody says, and has none.
std::vector<bool> rows_with_calls(const ShownSeries& series, const std::vector<Span>& calls) {
    std::vector<bool> with(series.t_ns.size());
    size_t next = 0;
    double latest_end = 0;  // of the calls before `next`
    for (size_t row = 1; row < with.size(); row++) {
        for (; next < calls.size() && calls[next].begin <= series.t_ns[row]; next++)
            latest_end = std::max(latest_end, calls[next].end);
        with[row] = next > 0 && latest_end > series.t_ns[row - 1];
    }
    return with;
}

}  // namespace

Throughput throughput_of(const ShownSeries& series, const std::vector<ShownStep>& steps) {
    const std::vector<bool> with = rows_with_calls(series, calls_in(steps));
    const std::vector<double>& amounts = series.amounts();
    const auto all_with = static_cast<size_t>(std::ranges::count(with, true));
    const size_t longest[] = {1 + (with.size() - all_with) / usual_parts, 1 + all_with / usual_parts};
    Throughput throughput;
    for (size_t row = 1; row < with.size();) {
        const size_t begin = row;
        double amount = 0;
        for (; row < with.size() && with[row] == with[begin] && row - begin < longest[with[begin] ? 1 : 0];
             row++)
            amount += amounts[row];
        const double seconds = (series.t_ns[row - 1] - series.t_ns[begin - 1]) / 1e9;
        if (seconds > 0)
            (with[begin] ? throughput.beside_calls : throughput.quiet).push_back(amount / seconds);
    }
    return throughput;
}

std::optional<Latencies> latencies_of(const JsonObject& workload, std::string_view key) {
    if (!workload.contains("histogram")) return std::nullopt;
    const JsonObject& histogram = workload.at("histogram");
    const auto upto = histogram.at("upto_ns").get<std::vector<double>>();
    const auto counts = histogram.at(key).get<std::vector<double>>();
    const size_t rows = std::min(upto.size(), counts.size());
    Latencies latencies;
    for (size_t row = 0; row < rows; row++) latencies.n += counts[row];
    if (latencies.n <= 0) return std::nullopt;
    auto at = [&](double share) {
        double counted = 0;
        size_t row = 0, last = 0;
        for (; row < rows && counted < std::ceil(latencies.n * share); counted += counts[row++])
            if (counts[row] > 0) last = row;
        return upto[last];
    };
    latencies.p50 = at(0.5);
    latencies.p99 = at(0.99);
    latencies.p99_9 = at(0.999);
    latencies.p99_99 = at(0.9999);
    latencies.max = at(1);
    return latencies;
}

std::optional<Ratio> ratio_of(const std::vector<double>& base, const std::vector<double>& fresh) {
    constexpr size_t least = 3;
    if (base.empty() || fresh.empty()) return std::nullopt;
    const double divisor = spread_of(base).median;
    if (divisor <= 0) return std::nullopt;
    Ratio ratio{spread_of(fresh).median / divisor, std::nullopt};
    if (std::min(base.size(), fresh.size()) >= least && std::ranges::min(base) > 0)
        ratio.interval = ratio_interval(base, fresh, seed);
    return ratio;
}

std::vector<CallKind> kinds_of(const std::vector<ShownStep>& steps) {
    std::vector<CallKind> kinds;
    std::map<std::pair<std::string, double>, size_t> places;
    for (const ShownStep& step : steps) {
        if (step.call_ns <= 0 || !step.ok) continue;
        const auto [place, is_new] = places.try_emplace({step.call, step.bytes}, kinds.size());
        if (is_new) {
            CallKind& kind = kinds.emplace_back();
            kind.call = step.call;
            kind.bytes = step.bytes;
        }
        CallKind& kind = kinds[place->second];
        kind.call_ns.push_back(step.call_ns);
        kind.huge_kept += step.huge_kept ? 1 : 0;
        kind.copies += step.copies;
        kind.faults += step.faults;
        kind.tlb_flushes += step.tlb_flushes;
        kind.host_returned += step.host_returned;
    }
    return kinds;
}

}  // namespace gpremap
