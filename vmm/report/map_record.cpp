#include "vmm/report/map_record.h"

#include <algorithm>
#include <utility>

#include "vmm/calls/catalogue.h"

namespace gpremap {

namespace {

// By what the step is, before it is done: a call that takes what is mapped already. `map` only adds to it.
bool changes_mappings(const StepResult& step) {
    if (const CallRow* row = find_call(step.call)) return row->plan && row->find(Parameter::Role::source);
    return step.call == "batch" || step.call == "resize";
}

}  // namespace

MapRecord::MapRecord(std::function<Map()> map, std::function<void(const Map&, uint64_t)> noted)
    : map_(std::move(map)), noted_(std::move(noted)) {}

void MapRecord::before(const StepResult& step) {
    if (first_ || !changes_mappings(step)) return;
    first_ = map_();
    noted_(*first_, last_end_ns_);
}

void MapRecord::after(const StepResult& step) {
    last_end_ns_ = std::max(last_end_ns_, step.end_ns);
    const Clock::time_point now = Clock::now();
    if (!first_ || !step.record || (last_ && now - *last_ < std::chrono::seconds(1))) return;
    last_ = now;
    noted_(map_(), last_end_ns_);
}

}  // namespace gpremap
