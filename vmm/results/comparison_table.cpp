#include "vmm/results/comparison_table.h"

#include <fmt/format.h>
#include <fmt/ostream.h>
#include <spdlog/spdlog.h>

#include <ostream>
#include <string>

namespace gpremap {

void print(const ResultComparison& comparison, const JudgementOptions& options, std::ostream& out) {
    constexpr std::string_view row = "{:<16} {:>11} {:>11} {:>7}  {:<17} {:>7}  {}\n";
    fmt::print(out, row, "verdict", "base", "new", "ratio", "95 % interval", "p", "metric");
    for (const ComparedMetric& each : comparison.metrics) {
        const Judgement& judgement = each.judgement;
        std::string name = each.name;
        for (const auto& [key, value] : each.parameters.items())
            name += fmt::format("; {}={}", key, value.dump());
        fmt::print(out, row, name_of(judgement.verdict), fmt::format("{:.6g}", judgement.base),
                   fmt::format("{:.6g}", judgement.fresh), fmt::format("{:.3f}", judgement.ratio),
                   fmt::format("{:.3f} ... {:.3f}", judgement.interval.low, judgement.interval.high),
                   fmt::format("{:.4f}", judgement.p), name);
    }
    fmt::print(out, "effect {:.3g} %, alpha {}, seed {}", options.effect * 100, options.alpha, options.seed);
    if (comparison.too_few > 0) fmt::print(out, "; {} metrics have too few samples", comparison.too_few);
    if (comparison.only_in_one > 0)
        fmt::print(out, "; {} are in one of the two only", comparison.only_in_one);
    fmt::print(out, "\n");
}

void warn_of_other_hosts(const ResultComparison& comparison) {
    if (comparison.other_hosts)
        spdlog::warn("the two results are of different hosts: a difference may be one between these");
}

}  // namespace gpremap
