#include "vmm/workloads/runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/base/threads.h"
#include "vmm/base/units.h"
#include "vmm/calls/effect.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/guests/agent/program.h"

namespace gpremap {

namespace {

using namespace std::chrono_literals;

// How often the rings are emptied: they hold 1.6 s of the shortest quanta that are the default.
constexpr auto sampling = 50ms;
// How long a workload may take to let go of a place, or to stop.
constexpr auto patience = 10s;

// What is kept of one workload, whatever the guest says that it has seen: some 300 and 60 MiB.
constexpr size_t most_rows = 10'000'000, most_events = 1'000'000;

// Cuts off what would be more than `most` with the `kept` that there are; how much that is.
template <typename Row>
uint64_t cut_to_room(std::vector<Row>& rows, size_t kept, size_t most) {
    const size_t fits = std::min(rows.size(), most - kept);
    const uint64_t lost = rows.size() - fits;
    rows.resize(fits);
    return lost;
}

struct Place {
    uint64_t at = 0;
    uint64_t size = 0;  // 0: there is none
    bool operator==(const Place&) const = default;
};

Place place_in(const Names& names, const std::string& range) {
    const NamedRange* named = names.find(range);
    if (!named || named->state == NamedRange::State::unmapped) return {};
    return {named->at, named->size};
}

std::string name_of(const gpremap_event& event, const gpremap_workload& state) {
    if (state.kind == GPREMAP_JITTER) return "gap";
    return event.name < std::min<uint64_t>(state.event_names, GPREMAP_EVENT_NAMES)
               ? state.event_name[event.name]
               : "?";
}

// Those that a program has put there, and what stream has of each kernel.
std::map<std::string, double> values_of(const gpremap_workload& state, const GuestClock& clock) {
    std::map<std::string, double> values;
    for (uint64_t i = 0; i < std::min<uint64_t>(state.values, GPREMAP_VALUES); i++)
        values[state.value[i].name] = static_cast<double>(state.value[i].value);
    static constexpr const char* kernels[] = {"copy", "scale", "add", "triad"};
    for (unsigned i = 0; state.kind == GPREMAP_STREAM && i < std::size(kernels); i++)
        if (state.ticks[i] > 0)
            values[std::string(kernels[i]) + "_bytes_per_s"] =
                static_cast<double>(state.done[i]) * 1e9 / static_cast<double>(clock.to_ns(state.ticks[i]));
    return values;
}

}  // namespace

struct WorkloadRunner::Running {
    Running(Machine& machine, const Workload& stated)
        : workload(stated), area(machine.guest(), stated.vcpu), clock(machine, stated.vcpu) {
        series = {stated.name, stated.vcpu, {}, {}, {}, {}};
        result.name = stated.name;
        result.vcpu = stated.vcpu;
        result.does = name_of(stated.does);
        result.asked_per_s = stated.rate;
        if (follows()) result.range = stated.range;
    }

    const Workload workload;
    WorkloadArea area;
    GuestClock clock;
    uint64_t entry = 0;  // of a program
    Place place;         // that the workload has been told
    bool begun = false;
    bool ended = false;

    // Guarded by mutex_:
    WorkloadSeries series;
    gpremap_sample last = {};
    std::vector<gpremap_event> events;

    WorkloadResult result;
    std::chrono::nanoseconds drift{0};

    bool follows() const { return !workload.range.empty(); }
};

// What a call is going to do to names, seen with two places for what the VMM chooses: what differs depends on the
// result.
struct WorkloadRunner::Prediction {
    static constexpr uint64_t result = 1ull << 60, other_result = 1ull << 61;

    Prediction(std::span<const CallAction> calls, const Names& before) : after(before), other(before) {
        for (const CallAction& call : calls) {
            follow_call(call, predicted_result(call, after, result), after, after);
            follow_call(call, predicted_result(call, other, other_result), other, other);
        }
    }

    Names after;
    Names other;
};

WorkloadRunner::WorkloadRunner(Machine& machine, const std::vector<Workload>& workloads, Sampled sampled)
    : machine_(machine), sampled_(std::move(sampled)), clock_(machine, 0) {
    for (const Workload& workload : workloads) {
        all_.push_back(std::make_unique<Running>(machine, workload));
        Running& running = *all_.back();
        running.area.prepare(workload, running.clock.tsc_khz());
        if (workload.does == GPREMAP_PROGRAM)
            running.entry = load_program(machine.guest(), workload.vcpu, workload.program);
    }
}

WorkloadRunner::~WorkloadRunner() {
    for (auto& running : all_)
        if (running->begun && !running->ended) running->area.stop();
}

void WorkloadRunner::begin(GuestClock::HostTime zero) {
    zero_ = zero;
    if (all_.empty()) return;
    for (auto& running : all_)
        if (!running->follows()) begin(*running);
    sampler_ = std::jthread([this](const std::stop_token& stop) { sample(stop); });
}

void WorkloadRunner::begin(Running& running) {
    machine_.start(running.workload.vcpu, order::workload(running.entry));
    running.begun = true;
}

// ---- places ----

// Throws what has stopped the guest, where another track's call has died while it held them.
void WorkloadRunner::hold_places(unsigned vcpu) {
    while (!place_mutex_.try_lock_for(sampling)) machine_.guest().require_idle(vcpu);
    place_holder_ = std::this_thread::get_id();
}

void WorkloadRunner::before(std::span<const CallAction> calls, const Names& names, unsigned vcpu,
                            abi::Step& step) {
    const Prediction prediction(calls, names);
    const bool changes_places = std::ranges::any_of(all_, [&](const auto& running) {
        const std::string& range = running->workload.range;
        return running->follows() && place_in(prediction.after, range) != place_in(names, range);
    });
    if (changes_places) hold_places(vcpu);
    for (auto& running : all_) {
        if (!running->follows()) continue;
        if (changes_places && running->begun) prepare(*running, prediction, step);
        settle(*running);
    }
}

// What goes, goes before the call; so does the place, if something else is going to be there. What comes, comes with
// the result.
void WorkloadRunner::prepare(Running& running, const Prediction& prediction, abi::Step& step) {
    const std::string& range = running.workload.range;
    const Place predicted = place_in(prediction.after, range);
    Place meanwhile = running.place;
    meanwhile.size = std::min(meanwhile.size, predicted.size);
    if (predicted.at != meanwhile.at && prediction.after.has_mapped(meanwhile.at, meanwhile.size))
        meanwhile = {GPREMAP_BUSY, 0};
    if (meanwhile != running.place) running.area.put_place(meanwhile.at, meanwhile.size);
    running.place = meanwhile;
    if (predicted.size == 0 || step.op != abi::Op::call || predicted == running.place) return;
    const bool from_result = place_in(prediction.other, range).at != predicted.at;
    if (from_result && step.arg[0] == static_cast<uint64_t>(abi::Call::batch))
        return;  // it returns no addresses
    const uint64_t at = from_result ? predicted.at - Prediction::result : predicted.at;
    step.follower[step.followers++] = {running.workload.vcpu, from_result, at, predicted.size};
}

// A program lets go of places when it likes.
void WorkloadRunner::settle(Running& running) const {
    if (!running.begun || running.ended || running.workload.does == GPREMAP_PROGRAM) return;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!running.area.has_seen_place() && !machine_.wait_until_done(running.workload.vcpu, 0ms)) {
        if (std::chrono::steady_clock::now() > deadline) return;
        std::this_thread::yield();
    }
}

// Who does not hold the places has changed none: what another track changes is for its own call to tell.
void WorkloadRunner::after(std::span<const CallAction>, const Names& names) {
    if (place_holder_ != std::this_thread::get_id()) return;
    for (auto& running : all_) {
        if (!running->follows()) continue;
        running->place = place_in(names, running->workload.range);
        running->area.put_place(running->place.at, running->place.size);
        if (!running->begun && running->place.size > 0) begin(*running);
    }
    place_holder_ = std::thread::id();
    place_mutex_.unlock();
}

WorkloadRunner::Running& WorkloadRunner::find(const std::string& name) {
    auto found = std::ranges::find_if(all_, [&](const auto& one) { return one->workload.name == name; });
    if (found == all_.end()) throw std::logic_error("there is no workload " + name);
    return **found;
}

uint64_t WorkloadRunner::ops(const std::string& workload) {
    return find(workload).area.operations();
}

// ---- start and stop ----

WorkloadRunner::State WorkloadRunner::state_of(const Running& running) {
    if (!running.result.problem.empty()) return State::failed;
    if (running.ended) return State::stopped;
    return running.begun ? State::running : State::waits_for_range;
}

std::vector<WorkloadRunner::Standing> WorkloadRunner::standings() const {
    std::vector<Standing> standings;
    for (const auto& running : all_)
        standings.push_back({running->workload.name, state_of(*running), running->area.operations()});
    return standings;
}

std::string WorkloadRunner::start(const std::string& workload) {
    Running& running = find(workload);
    if (state_of(running) == State::failed) return "it has failed: " + running.result.problem;
    if (!running.begun) return "it begins when its range is there";
    if (!running.ended) return "it runs already";
    if (running.workload.does == GPREMAP_PROGRAM) return "a program cannot be started again";
    running.area.begin_again(running.place.size / 4096);
    running.ended = false;
    begin(running);
    return "";
}

std::string WorkloadRunner::stop(const std::string& workload) {
    Running& running = find(workload);
    if (state_of(running) != State::running) return "it does not run";
    running.area.stop();
    end(running);
    return running.result.problem;
}

// ---- sampling ----

void WorkloadRunner::sample(const std::stop_token& stop) {
    begin_thread(ThreadKind::sampler, "sampler");
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        for (auto& running : all_) drain(*running);
        to_sampler_.wait_for(lock, stop, sampling, [] { return false; });
    }
}

// With mutex_ held.
void WorkloadRunner::drain(Running& running) {
    auto [rows, lost_rows] = running.area.new_samples();
    auto [events, lost_events] = running.area.new_events();
    running.result.dropped += lost_rows + lost_events;
    running.result.dropped += cut_to_room(rows, running.series.t_ns.size(), most_rows);
    running.result.dropped += cut_to_room(events, running.events.size(), most_events);
    running.events.insert(running.events.end(), events.begin(), events.end());
    WorkloadSeries fresh{running.workload.name, running.workload.vcpu, {}, {}, {}, {}};
    for (const gpremap_sample& row : rows) {
        fresh.t_ns.push_back(ns_at(running, row.tsc));
        fresh.ops.push_back(row.operations - running.last.operations);
        fresh.bytes.push_back(row.bytes - running.last.bytes);
        fresh.max_ns.push_back(running.clock.to_ns(row.longest));
        running.last = row;
    }
    if (rows.empty()) return;
    auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(running.series.t_ns, fresh.t_ns);
    append(running.series.ops, fresh.ops);
    append(running.series.bytes, fresh.bytes);
    append(running.series.max_ns, fresh.max_ns);
    if (sampled_) sampled_(fresh);
}

// Since the beginning; 0 for what was before.
uint64_t WorkloadRunner::ns_at(const Running& running, uint64_t tsc) const {
    const auto since = running.clock.host_time(tsc) - zero_;
    return static_cast<uint64_t>(std::max<int64_t>(0, std::chrono::nanoseconds(since).count()));
}

// ---- the end ----

void WorkloadRunner::finish() {
    for (auto& running : all_)
        if (running->begun) running->area.stop();
    for (auto& running : all_) end(*running);
    sampler_ = {};
    std::lock_guard lock(mutex_);
    for (auto& running : all_) {
        drain(*running);
        collect(*running, running->result);
        if (!running->begun) running->result.problem = "it never began: its range was never there";
        running->result.ok = running->result.problem.empty();
    }
}

void WorkloadRunner::end(Running& running) {
    if (!running.begun || running.ended) return;
    if (!machine_.wait_until_done(running.workload.vcpu, patience)) {
        running.result.problem = fmt::format("it did not stop within {} s of being told to",
                                             std::chrono::seconds(patience).count());
        return;
    }
    const abi::Report report = machine_.finish(running.workload.vcpu).report;
    running.ended = true;
    running.result.problem = problem_of(report, running);
    running.drift = running.clock.drift(GuestClock(machine_, running.workload.vcpu));
}

std::string WorkloadRunner::problem_of(const abi::Report& report, const Running& running) {
    const std::string stated = running.area.state().problem;
    switch (report.outcome) {
        case abi::Outcome::mismatch:
            return fmt::format("the word at {} is {:#x}, expected {:#x}: something was lost or misplaced",
                               format_address(report.mismatch_at), report.mismatch_found,
                               report.mismatch_expected);
        case abi::Outcome::fault:
            return fmt::format("it ran into a fault at {} (rip {:#x}), and was given up",
                               format_address(report.fault.address), report.fault.rip);
        case abi::Outcome::ok:
            break;
    }
    if (!stated.empty()) return stated;
    if (running.workload.does == GPREMAP_PROGRAM && report.result != 0)
        return fmt::format("the program returned {}", report.result);
    return "";
}

// With mutex_ held.
void WorkloadRunner::collect(const Running& running, WorkloadResult& result) const {
    const gpremap_workload state = running.area.state();
    const Counts quiet = running.area.quiet(), beside = running.area.beside();
    result.ops = state.operations;
    result.bytes = state.bytes;
    result.seconds = static_cast<double>(running.clock.to_ns(state.ended - state.begun)) / 1e9;
    if (result.seconds > 0) result.achieved_per_s = static_cast<double>(result.ops) / result.seconds;
    result.latency = summary_of(sum_of(quiet, beside));
    result.beside_calls = summary_of(beside);
    result.histogram = histogram_of(quiet, beside);
    result.faults = state.faults;
    result.values = values_of(state, running.clock);
    for (const gpremap_event& event : running.events)
        result.events.push_back(
            {name_of(event, state), ns_at(running, event.begin), running.clock.to_ns(event.ticks)});
}

std::vector<WorkloadResult> WorkloadRunner::results() const {
    std::lock_guard lock(mutex_);
    std::vector<WorkloadResult> results;
    for (const auto& running : all_) results.push_back(running->result);
    return results;
}

std::vector<WorkloadResult> WorkloadRunner::results_so_far() const {
    std::lock_guard lock(mutex_);
    std::vector<WorkloadResult> results;
    for (const auto& running : all_) collect(*running, results.emplace_back(running->result));
    return results;
}

std::vector<WorkloadSeries> WorkloadRunner::series() const {
    std::lock_guard lock(mutex_);
    std::vector<WorkloadSeries> series;
    for (const auto& running : all_) series.push_back(running->series);
    return series;
}

ClockFacts WorkloadRunner::clock() const {
    ClockFacts facts;
    facts.tsc_khz = clock_.tsc_khz();
    facts.error_ns = static_cast<uint64_t>(clock_.error().count());
    for (const auto& running : all_) {
        const auto error = running->clock.error() + running->drift;
        facts.error_ns = std::max(facts.error_ns, static_cast<uint64_t>(error.count()));
    }
    return facts;
}

}  // namespace gpremap
