#include "vmm/host/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <map>
#include <string_view>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

using Numbers = std::vector<unsigned>;

bool contains(const Numbers& numbers, unsigned number) {
    return std::ranges::find(numbers, number) != numbers.end();
}

Numbers without(Numbers all, const Numbers& these) {
    std::erase_if(all, [&](unsigned each) { return contains(these, each); });
    return all;
}

Numbers numbers_of(const std::vector<Processor>& processors) {
    Numbers numbers;
    for (const Processor& each : processors) numbers.push_back(each.number);
    return numbers;
}

// A first thread of every core, then a second of those that have one, and so on.
Numbers siblings_last(const std::vector<Processor>& usable) {
    std::map<unsigned, size_t> of_core;
    std::vector<Numbers> turns;
    for (const Processor& each : usable) {
        const size_t turn = of_core[each.core]++;
        if (turn == turns.size()) turns.emplace_back();
        turns[turn].push_back(each.number);
    }
    Numbers order;
    for (const Numbers& turn : turns) order.insert(order.end(), turn.begin(), turn.end());
    return order;
}

void require_usable(const Numbers& stated, const Numbers& usable, const std::string& place) {
    for (unsigned number : stated)
        if (!contains(usable, number))
            throw ConfigError(
                fmt::format("{}expected processors that this process may run on, {} (as taskset and cgroups "
                            "leave it), got {}",
                            place, list_of(usable), number));
}

// Without what the host's threads are stated to have, or, where nothing is, without one that is left to them.
std::optional<Numbers> spread(const PlacementConfig& config, unsigned vcpus,
                              const std::vector<Processor>& usable) {
    Numbers order = siblings_last(usable);
    order = without(order, config.host_cpus.empty() ? Numbers{order.at(0)} : config.host_cpus);
    if (order.size() < vcpus) return std::nullopt;
    order.resize(vcpus);
    return order;
}

std::string counted(size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::optional<std::string> note_of(const PlacementConfig& config, const Pinning& pinning, unsigned vcpus,
                                   size_t usable) {
    if (usable < vcpus + 1)
        return fmt::format("{} and the rest of this program share {}: times have waiting in them",
                           counted(vcpus, "vCPU"), counted(usable, "processor"));
    if (config.rule == PlacementConfig::Rule::spread && !pinning.cpus)
        return fmt::format("host_cpus leaves {} for {}: none is pinned",
                           counted(usable - config.host_cpus.size(), "processor"), counted(vcpus, "vCPU"));
    if (!pinning.cpus || !pinning.host_cpus) return std::nullopt;
    for (unsigned number : *pinning.cpus)
        if (contains(*pinning.host_cpus, number))
            return fmt::format("processor {} is shared by a vCPU and the rest of this program", number);
    return std::nullopt;
}

}  // namespace

Pinning choose_pinning(const PlacementConfig& config, unsigned vcpus, const std::vector<Processor>& usable) {
    const Numbers all = numbers_of(usable);
    require_usable(config.cpus, all, config.cpus_place);
    require_usable(config.host_cpus, all, config.host_cpus_place);
    Pinning pinning;
    if (config.rule == PlacementConfig::Rule::stated) pinning.cpus = config.cpus;
    if (config.rule == PlacementConfig::Rule::spread) pinning.cpus = spread(config, vcpus, usable);
    if (pinning.cpus) {
        const Numbers rest = config.host_cpus.empty() ? without(all, *pinning.cpus) : config.host_cpus;
        if (!rest.empty()) pinning.host_cpus = rest;
    }
    pinning.note = note_of(config, pinning, vcpus, usable.size());
    return pinning;
}

RunOn::RunOn(const std::optional<Numbers>& processors) {
    if (!processors) return;
    const Numbers before = numbers_of(usable_processors());
    run_on(*processors);
    before_ = before;
}

RunOn::~RunOn() {
    if (before_.empty()) return;
    try {
        run_on(before_);
    } catch (const std::exception&) {  // they have been taken away meanwhile: the kernel has moved the thread
    }
}

}  // namespace gpremap
