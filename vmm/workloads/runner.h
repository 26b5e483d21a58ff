// Runs the workloads of a scenario beside its steps: begins each once its range is there, lets it follow its range
// through the calls that the steps make, and collects what it measures.
//
//     before a call   what the call will take away is taken from the workload, and it has let go of it
//     the call        the vCPU that makes it tells the workload where the range is now (abi::Follower)
//     after it        the place is what the names say, also where the call failed
//
// So no workload uses an address that its range has left and another has come to: before the next call it has
// seen where its range is.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "vmm/machine/guest_clock.h"
#include "vmm/machine/machine.h"
#include "vmm/workloads/area.h"
#include "vmm/workloads/companions.h"
#include "vmm/workloads/result.h"
#include "vmm/workloads/workload.h"

namespace gpremap {

class WorkloadRunner : public Companions {
  public:
    // Told of new rows of a series, by the sampler's thread.
    using Sampled = std::function<void(const WorkloadSeries& rows)>;

    // Loads programs and measures clocks: the vCPUs of the workloads must be idle. Throws ConfigError for a program
    // that cannot be loaded.
    WorkloadRunner(Machine& machine, const std::vector<Workload>& workloads, Sampled sampled);
    // Stops what runs.
    ~WorkloadRunner() override;

    // Workloads without a range begin, too.
    void begin(GuestClock::HostTime zero) override;
    void before(std::span<const CallAction> calls, const Names& names, unsigned vcpu,
                abi::Step& step) override;
    void after(std::span<const CallAction> calls, const Names& names) override;
    uint64_t ops(const std::string& workload) override;

    // ---- while no call is being made, by one thread at a time ----

    enum class State { waits_for_range, running, stopped, failed };
    struct Standing {
        std::string name;
        State state = State::running;
        uint64_t ops = 0;
    };
    std::vector<Standing> standings() const;
    // Each returns why it cannot: empty where it could. The workload must be one of the scenario's. What has been
    // stopped may be started again, but for a program, which has an end of its own. Throw GuestDied.
    std::string start(const std::string& workload);
    std::string stop(const std::string& workload);

    // Stops all workloads, and waits for them. Throws GuestDied.
    void finish();
    // Whole after finish(); where the guest died, what the host had read until then.
    std::vector<WorkloadResult> results() const;
    // While they run: what they have done so far.
    std::vector<WorkloadResult> results_so_far() const;
    std::vector<WorkloadSeries> series() const;
    ClockFacts clock() const;

  private:
    struct Running;

    struct Prediction;

    void begin(Running& running);
    void hold_places(unsigned vcpu);
    void prepare(Running& running, const Prediction& prediction, abi::Step& step);
    void settle(Running& running) const;
    void sample(const std::stop_token& stop);
    void drain(Running& running);
    void end(Running& running);
    void collect(const Running& running, WorkloadResult& result) const;
    uint64_t ns_at(const Running& running, uint64_t tsc) const;
    static std::string problem_of(const abi::Report& report, const Running& running);
    static State state_of(const Running& running);
    Running& find(const std::string& name);

    Machine& machine_;
    Sampled sampled_;
    GuestClock clock_;  // of vCPU 0
    std::vector<std::unique_ptr<Running>> all_;
    GuestClock::HostTime zero_;
    mutable std::mutex mutex_;      // of what is drained
    std::timed_mutex place_mutex_;  // held from before() to after() by a call that changes a place, and by
    std::atomic<std::thread::id> place_holder_;  // this thread
    std::condition_variable_any to_sampler_;
    std::jthread sampler_;
};

}  // namespace gpremap
