// The control of a run by `gpremap run --control`: what a scenario's machine, steps and workloads are to its socket.
// Does nothing where none is asked for.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "vmm/base/interruption.h"
#include "vmm/control/control.h"
#include "vmm/machine/machine.h"
#include "vmm/scenario/scenario.h"
#include "vmm/scenario/track.h"
#include "vmm/workloads/runner.h"

namespace gpremap {

class RunControl {
  public:
    // What a run is made of. All of it lives until end().
    struct Run {
        const Scenario& scenario;
        Machine& machine;
        WorkloadRunner& workloads;
        Interruption& interruption;
        // Of ControlTarget.
        std::function<std::string(const std::string& file)> checkpoint;
    };
    enum class After { end, stay };  // the last step

    // An empty path stands for no socket. Throws ConfigError as SocketPath does.
    explicit RunControl(const std::string& path) {
        if (!path.empty()) control_.emplace(path);
    }

    // Has clients hear of the steps. `run` is used from the first step on.
    void watch(StepWatcher& watcher, const Run& run);
    // Does the steps, and has the machine stay afterwards, where it is to. Then no client is left, whatever it throws:
    // what has ended the steps, Interrupted, GuestDied, or what Control::end throws.
    void do_steps(const std::function<void()>& steps, After after, const Run& run);
    // Rows of a series, as they come.
    void tell(const WorkloadSeries& rows);

  private:
    void stay(const Run& run);
    ControlTarget target_of(const Run& run);
    JsonObject stats(const Run& run) const;
    void tell_begin(const StepResult& step);
    void tell_end(const StepResult& step);

    std::atomic<size_t> done_ = 0, failed_ = 0;
    RunState* state_ = nullptr;
    std::optional<Control> control_;
};

}  // namespace gpremap
