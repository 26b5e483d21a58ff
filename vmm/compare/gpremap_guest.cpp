#include "vmm/compare/gpremap_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "vmm/base/errno_names.h"
#include "vmm/base/errors.h"
#include "vmm/base/spread.h"
#include "vmm/calls/effect.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/machine/machine.h"
#include "vmm/vcpus/performed.h"

namespace gpremap {

namespace {

constexpr uint64_t page = 4096, cache_line = 64, mib = 1ull << 20;
constexpr auto writing = abi::FaultKind::write;
constexpr uint64_t seed = 1;
constexpr uint64_t workload_size = mib;

// Of the range that is resized, from this offset on.
order::Content stamp_from(uint64_t offset) {
    return {abi::Pattern::stamp, seed, offset / page};
}

// What did not go as it must, as the guest's death: nothing can be compared then.
uint64_t checked(const Performed& done, const char* what) {
    const abi::Report& report = done.report;
    if (report.outcome == abi::Outcome::mismatch)
        throw GuestDied(fmt::format("gpremap: {}: the byte at {:#x} is wrong", what, report.mismatch_at));
    if (report.outcome == abi::Outcome::fault)
        throw GuestDied(fmt::format("gpremap: {}: a fault at {:#x}", what, report.fault.address));
    if (report.result < 0)
        throw GuestDied(
            fmt::format("gpremap: {}: {}; is `limit` too low?", what, errno_name(-report.result)));
    return static_cast<uint64_t>(report.result);
}

// Writes to every cache line of a range of its own, over and over, on the last vCPU.
class Workload {
  public:
    Workload(Machine& machine, uint64_t at, Waiter& waiter)
        : machine_(machine), at_(at), waiter_(waiter), thread_([this] { run(); }) {}
    ~Workload() {
        ends_ = true;
        thread_.join();
    }
    Workload(const Workload&) = delete;
    Workload& operator=(const Workload&) = delete;

    struct Loss {
        uint64_t lost = 0, pause = 0;  // ns
    };
    // Of the time from `begin` to `end`, as against the rounds since `before`. Waits until the round is over
    // that `end` was in. Throws what ended the workload.
    Loss loss(Clock::time_point before, Clock::time_point begin, Clock::time_point end) {
        Loss loss;
        waiter_.wait([&] { return died_ || (!rounds_.empty() && rounds_.back().end >= end); });
        waiter_.change([&] {
            if (died_) std::rethrow_exception(died_);
            loss = judge(before, begin, end);
            rounds_.clear();
        });
        return loss;
    }

  private:
    struct Round {
        Clock::time_point begin, end;
        uint64_t ns() const { return ns_between(begin, end); }
    };

    void run() try {
        const abi::Step step = order::touch(at_, workload_size, writing, cache_line);
        while (!ends_) {
            const Clock::time_point begin = Clock::now();
            checked(machine_.perform(machine_.vcpus() - 1, step), "the workload");
            waiter_.change([&] { rounds_.push_back({begin, Clock::now()}); });
        }
    } catch (...) {
        waiter_.change([&] { died_ = std::current_exception(); });
    }

    // A round that took longer than usual did its work in the usual time; the rest of it is lost.
    Loss judge(Clock::time_point before, Clock::time_point begin, Clock::time_point end) const {
        std::vector<uint64_t> usual;
        for (const Round& round : rounds_)
            if (round.begin >= before && round.end <= begin) usual.push_back(round.ns());
        if (usual.empty()) return {};
        const uint64_t median = spread_of(std::move(usual)).median;
        double lost = 0;
        uint64_t pause = 0;
        for (const Round& round : rounds_) {
            if (round.end <= begin || round.begin >= end || round.ns() <= median) continue;
            const uint64_t inside = ns_between(std::max(begin, round.begin), std::min(end, round.end));
            const uint64_t delay = std::min(inside, round.ns() - median);
            lost += static_cast<double>(delay);
            pause = std::max(pause, delay);
        }
        return {static_cast<uint64_t>(lost), pause};
    }

    Machine& machine_;
    uint64_t at_;
    Waiter& waiter_;
    std::atomic<bool> ends_ = false;
    std::vector<Round> rounds_;  // since the last loss(); the waiter's lock guards them
    std::exception_ptr died_;
    std::thread thread_;
};

class GpremapGuest {
  public:
    GpremapGuest(const MachineConfig& config, const Schedule& schedule, Waiter& waiter)
        : machine_(config),
          schedule_(schedule),
          waiter_(waiter),
          workload_(machine_, map_for_workload(config), waiter) {
        call(schedule.map);
        fill(0, schedule.initial);
    }

    Measured resize(const Resizing& resizing, const CallAction& action) {
        constexpr std::chrono::milliseconds observed(200);
        const Clock::time_point before = Clock::now();
        waiter_.sleep(observed);
        Measured measured;
        measured.host_before = machine_.remapper().resident_bytes();
        const Clock::time_point begin = Clock::now();
        const Performed done = call(action);
        const Workload::Loss loss = workload_.loss(before, begin, Clock::now());
        measured.command = done.call ? done.call->call_ns : done.guest_ns;
        measured.guest = done.guest_ns;
        measured.lost = loss.lost;
        measured.pause = loss.pause;
        if (resizing.grows()) {
            const Performed touched =
                perform(order::touch(at() + resizing.from, resizing.bytes(), writing, page), "touch");
            measured.install = touched.guest_ns;
            fill(resizing.from, resizing.bytes());
        }
        measured.host_after = machine_.remapper().resident_bytes();
        perform(order::verify(at(), resizing.to, stamp_from(0)), "verify");
        return measured;
    }

  private:
    // At the very end of the aperture, where a scenario's own ranges are least in the way.
    uint64_t map_for_workload(const MachineConfig& config) {
        const uint64_t at = config.memory.aperture_base + config.memory.aperture_size - 2 * mib;
        constexpr uint64_t read_write = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
        perform(order::call(abi::Call::map, {at, 2 * mib, read_write, 0}), "map of the workload's range");
        return at;
    }

    Performed call(const CallAction& action) {
        std::vector<uint64_t> arguments;
        for (const Argument& argument : action.args) arguments.push_back(argument.value.in(names_));
        const Performed done = machine_.perform(0, order::call(action.number, arguments));
        follow_call(action, checked(done, "a call"), names_, names_);
        return done;
    }

    Performed perform(const abi::Step& step, const char* what) {
        const Performed done = machine_.perform(0, step);
        checked(done, what);
        return done;
    }

    void fill(uint64_t offset, uint64_t size) {
        perform(order::fill(at() + offset, size, stamp_from(offset)), "fill");
    }

    uint64_t at() const { return names_.find(schedule_.range)->at; }

    Machine machine_;
    const Schedule& schedule_;
    Waiter& waiter_;
    Names names_;
    Workload workload_;
};

}  // namespace

std::vector<std::pair<Resizing, Measured>> resize_on_gpremap(MachineConfig config, const Schedule& schedule,
                                                             Waiter& waiter) {
    config.guest = GuestKind::agent;
    config.vcpus = std::min(config.vcpus + 1, abi::max_vcpus);
    config.memory.limit += 2 * mib;  // the workload's
    GpremapGuest guest(config, schedule, waiter);
    std::vector<std::pair<Resizing, Measured>> all;
    for (size_t i = 0; i < schedule.resizings.size(); i++)
        all.emplace_back(schedule.resizings[i], guest.resize(schedule.resizings[i], schedule.calls[i]));
    return all;
}

}  // namespace gpremap
