#include "vmm/workloads/area.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace gpremap {

namespace {

uint64_t ticks_of(uint64_t ns, uint32_t tsc_khz) {
    return static_cast<uint64_t>(static_cast<double>(ns) * tsc_khz / 1e6);
}

template <size_t size>
void end_text(char (&text)[size]) {
    text[size - 1] = 0;
}

}  // namespace

WorkloadArea::WorkloadArea(CallerMemory& memory, unsigned vcpu)
    : memory_(memory), base_(GPREMAP_WORKLOADS + vcpu * GPREMAP_AREA_SIZE) {}

void WorkloadArea::prepare(const Workload& workload, uint32_t tsc_khz) {
    const auto empty = std::make_unique<gpremap_area>();
    write(0, empty.get(), sizeof *empty);
    gpremap_workload state = {};
    state.kind = workload.does;
    state.access = workload.access;
    state.writes = static_cast<uint64_t>(std::lround(workload.write * 65536));
    if (workload.rate) state.interval = static_cast<uint64_t>(tsc_khz * 1000.0 / *workload.rate * 65536);
    state.sample = ticks_of(workload.sample_ns, tsc_khz);
    state.gap = ticks_of(shortest_gap_ns, tsc_khz);
    state.ns_per_tick = static_cast<uint64_t>(1e6 / tsc_khz * 4294967296.0);
    state.seed = workload.seed;
    state.argument_count = workload.arguments.size();
    char* text = state.arguments;
    for (const std::string& argument : workload.arguments)
        text = std::copy_n(argument.c_str(), argument.size() + 1, text);
    write(0, &state, sizeof state);
}

// ---- words: each is read and written as a whole ----

void WorkloadArea::read(size_t offset, void* to, size_t size) const {
    if (!memory_.read(base_ + offset, to, size))
        throw std::logic_error("a workload's area is outside the guest's memory");
}

void WorkloadArea::write(size_t offset, const void* from, size_t size) {
    if (!memory_.write(base_ + offset, from, size))
        throw std::logic_error("a workload's area is outside the guest's memory");
}

uint64_t WorkloadArea::word(size_t offset) const {
    uint64_t value;
    read(offset, &value, sizeof value);
    std::atomic_thread_fence(std::memory_order_acquire);
    return value;
}

void WorkloadArea::set_word(size_t offset, uint64_t value) {
    std::atomic_thread_fence(std::memory_order_release);
    write(offset, &value, sizeof value);
}

void WorkloadArea::put_place(uint64_t at, uint64_t size) {
    const uint64_t number = word(offsetof(gpremap_workload, place));
    set_word(offsetof(gpremap_workload, place), number + 1);
    set_word(offsetof(gpremap_workload, at), at);
    set_word(offsetof(gpremap_workload, size), size);
    set_word(offsetof(gpremap_workload, place), number + 2);
}

bool WorkloadArea::has_seen_place() const {
    return word(offsetof(gpremap_workload, seen)) == word(offsetof(gpremap_workload, place));
}

void WorkloadArea::stop() {
    set_word(offsetof(gpremap_workload, stop), 1);
}

void WorkloadArea::go_on() {
    set_word(offsetof(gpremap_workload, stop), 0);
}

void WorkloadArea::begin_again(uint64_t pages) {
    const uint64_t nothing = 0;
    for (size_t offset : {offsetof(gpremap_workload, started), offsetof(gpremap_workload, planned),
                          offsetof(gpremap_workload, cursor), offsetof(gpremap_workload, round)})
        set_word(offset, nothing);
    if (word(offsetof(gpremap_workload, kind)) == GPREMAP_VERIFY) {  // guest/agent/workloads/verify.cpp
        const uint64_t done[] = {0, pages, 0};
        write(offsetof(gpremap_workload, done), done, sizeof done);
    }
    go_on();
}

uint64_t WorkloadArea::operations() const {
    return word(offsetof(gpremap_workload, operations));
}

gpremap_workload WorkloadArea::state() const {
    gpremap_workload state;
    read(0, &state, sizeof state);
    for (gpremap_value& value : state.value) end_text(value.name);
    for (auto& name : state.event_name) end_text(name);
    end_text(state.problem);
    return state;
}

// ---- histograms and rings ----

Counts WorkloadArea::counts(size_t offset) const {
    Counts counts(GPREMAP_BUCKETS);
    read(offset, counts.data(), counts.size() * sizeof(uint64_t));
    return counts;
}

Counts WorkloadArea::quiet() const {
    return counts(offsetof(gpremap_area, quiet));
}
Counts WorkloadArea::beside() const {
    return counts(offsetof(gpremap_area, beside));
}

// What the workload has overwritten while it was read counts as lost.
template <typename Row>
WorkloadArea::Drained<Row> WorkloadArea::drain(size_t ring, size_t capacity, size_t head, uint64_t& seen) {
    Drained<Row> drained;
    const uint64_t end = word(head);
    if (end - seen > capacity) {
        drained.lost = end - capacity - seen;
        seen = end - capacity;
    }
    const uint64_t first = seen;
    for (; seen != end; seen++) {
        Row row;
        read(ring + seen % capacity * sizeof row, &row, sizeof row);
        drained.rows.push_back(row);
    }
    const uint64_t now = word(head);
    const uint64_t overwritten = now - first > capacity ? std::min(now - first - capacity, end - first) : 0;
    drained.rows.erase(drained.rows.begin(), drained.rows.begin() + static_cast<ptrdiff_t>(overwritten));
    drained.lost += overwritten;
    return drained;
}

WorkloadArea::Drained<gpremap_sample> WorkloadArea::new_samples() {
    return drain<gpremap_sample>(offsetof(gpremap_area, sample), GPREMAP_SAMPLES,
                                 offsetof(gpremap_workload, samples), samples_seen_);
}

WorkloadArea::Drained<gpremap_event> WorkloadArea::new_events() {
    return drain<gpremap_event>(offsetof(gpremap_area, event), GPREMAP_EVENTS,
                                offsetof(gpremap_workload, events), events_seen_);
}

}  // namespace gpremap
