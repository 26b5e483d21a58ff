#include "vmm/compare/resize_plan.h"

#include <algorithm>
#include <set>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/calls/catalogue.h"
#include "vmm/scenario/timeline.h"

namespace gpremap {

namespace {

// Linux adds and removes memory in such pieces.
constexpr uint64_t memory_block = 128ull << 20;  // bytes
constexpr uint64_t virtio_mem_block = 2ull << 20;

// The range that a step resizes as a whole; empty for any other step, and for one that may fail.
std::string resized_range(const ScenarioStep& step) {
    if (!step.expect.success()) return "";
    if (const auto* schedule = std::get_if<ResizeAction>(&step.action)) return schedule->range.range;
    const auto* call = std::get_if<CallAction>(&step.action);
    if (!call || !find_call(call->number)->resizes() || call->effect != Effect::relocates) return "";
    const bool whole = call->source->at.kind == Operand::Kind::address_of && call->source->at.offset == 0 &&
                       call->source->size.kind == Operand::Kind::size_of;
    return whole && call->new_size.kind != Operand::Kind::address_of ? call->source->at.range : "";
}

std::string only_resized_range(const std::vector<Order>& timeline, const std::string& file) {
    std::set<std::string> names;
    for (const Order& order : timeline)
        if (std::string name = resized_range(*order.step); !name.empty()) names.insert(name);
    if (names.empty())
        throw ConfigError(file +
                          ": no step resizes a range: expected grow, shrink, linux or netbsd with new_size, "
                          "inflate or resize");
    if (names.size() == 1) return *names.begin();
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    throw ConfigError(file + ": several ranges are resized (" + all + "): say which with --range");
}

class Builder {
  public:
    explicit Builder(Schedule& schedule) : schedule_(schedule) {}

    void add(const Order& order) {
        const ScenarioStep& step = *order.step;
        const auto* call = std::get_if<CallAction>(&step.action);
        if (call && call->number == abi::Call::map && call->name == schedule_.range) {
            if (size_ != 0) step.place.fail("the range is mapped a second time; expected one map of it");
            schedule_.initial = size_ = call->new_size.offset;
            schedule_.map = *call;
        } else if (resized_range(step) == schedule_.range) {
            add_resizing(order);
        }
    }

  private:
    // Where a schedule says when, that does not count: each resize is measured, and the next one waits for
    // it.
    void add_resizing(const Order& order) {
        const ScenarioStep& step = *order.step;
        if (const auto* schedule = std::get_if<ResizeAction>(&step.action)) {
            resize(step, resize_call(*schedule, size_, order.size), order.size);
        } else {
            const CallAction& call = std::get<CallAction>(step.action);
            Names names;
            names.define(schedule_.range, {.size = size_});
            resize(step, call, call.new_size.in(names));
        }
    }

    void resize(const ScenarioStep& step, const CallAction& call, uint64_t size) {
        if (size_ == 0) step.place.fail("the range is resized before a step has mapped it");
        if (size == 0) step.place.fail("expected a size that is not 0");
        if (size == size_) return;
        schedule_.resizings.push_back({size_, size});
        schedule_.calls.push_back(call);
        size_ = size;
    }

    Schedule& schedule_;
    uint64_t size_ = 0;  // after the steps so far
};

void require_multiple(const Schedule& schedule, const std::string& file, Way way, uint64_t unit) {
    for (const Resizing& resizing : schedule.resizings)
        if (resizing.bytes() % unit != 0)
            throw ConfigError(file + ": " + std::string(name_of(way)) + " resizes by multiples of " +
                              format_size(unit) + "; the schedule asks for " + format_size(resizing.from) +
                              " to " + format_size(resizing.to));
}

// A DIMM goes as it came: whole.
void require_whole_dimms(const Schedule& schedule, const std::string& file) {
    std::vector<uint64_t> dimms;
    if (schedule.initial > schedule.least()) dimms.push_back(schedule.initial - schedule.least());
    for (const Resizing& resizing : schedule.resizings) {
        if (resizing.grows()) {
            dimms.push_back(resizing.bytes());
        } else if (!dimms.empty() && dimms.back() == resizing.bytes()) {
            dimms.pop_back();
        } else {
            throw ConfigError(
                file + ": a shrink from " + format_size(resizing.from) + " to " + format_size(resizing.to) +
                " is not the size of the DIMM that came last; make them match, or leave dimm out of --with");
        }
    }
}

}  // namespace

std::string_view name_of(Way way) {
    switch (way) {
        case Way::gpremap:
            return "gpremap";
        case Way::gpremap_linux:
            return "gpremap-linux";
        case Way::balloon:
            return "balloon";
        case Way::virtio_mem:
            return "virtio-mem";
        case Way::dimm:
            return "dimm";
    }
    return "";
}

uint64_t Schedule::least() const {
    uint64_t least = initial;
    for (const Resizing& resizing : resizings) least = std::min(least, resizing.to);
    return least;
}

uint64_t Schedule::most() const {
    uint64_t most = initial;
    for (const Resizing& resizing : resizings) most = std::max(most, resizing.to);
    return most;
}

Schedule schedule_of(const Scenario& scenario, const std::string& name, const std::vector<Way>& ways) {
    const std::vector<Order> timeline = timeline_of(scenario.steps, scenario.machine.memory.granule);
    Schedule schedule;
    schedule.range = name.empty() ? only_resized_range(timeline, scenario.file) : name;
    Builder builder(schedule);
    for (const Order& order : timeline) builder.add(order);
    if (schedule.resizings.empty())
        throw ConfigError(scenario.file + ": no step changes the size of a range called '" + schedule.range +
                          "'");
    for (Way way : ways) {
        if (way == Way::virtio_mem) require_multiple(schedule, scenario.file, way, virtio_mem_block);
        if (way == Way::gpremap_linux)
            require_multiple(schedule, scenario.file, way,
                             std::max(memory_block, scenario.machine.memory.granule));
        if (way != Way::dimm) continue;
        require_multiple(schedule, scenario.file, way, memory_block);
        require_whole_dimms(schedule, scenario.file);
    }
    return schedule;
}

}  // namespace gpremap
