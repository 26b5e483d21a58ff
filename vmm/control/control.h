// A run under control: a socket, a thread for the host's calls and one for jobs.
//
//     Control control(path);            // clients may connect
//     control.begin(target, state);     // and are answered: the first step is about to begin
//     control.wait_for_stop(look);      // where the machine is to stay after the last step
//     control.end();                    // every request has an answer, every job its final state
//
// docs/control.md has the picture of threads and locks.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "vmm/control/events.h"
#include "vmm/control/jobs.h"
#include "vmm/control/protocol.h"
#include "vmm/control/steering.h"
#include "vmm/control/target.h"

namespace gpremap {

class Server;

class Control {
  public:
    // Throws ConfigError as SocketPath does.
    explicit Control(const std::string& path);
    // As end().
    ~Control();

    // Both live until end().
    void begin(ControlTarget target, RunState& state);
    // Waits until a client asks for the end; `look` is called now and then and may throw what ends the wait. All
    // steps are done: a stop is in order now.
    void wait_for_stop(const std::function<void()>& look);
    // What is under way ends; what waits is told that it is not done. Throws what a thread of its own has met that
    // ends the run.
    void end();

    // Told by any thread. Before begin(), nobody hears it.
    void tell(std::string_view kind, const JsonObject& body);

  private:
    using Task = std::pair<Request, Reply>;

    void handle(Request request, Reply reply);
    JsonObject answer_at_once(const Request& request);
    void do_calls();
    void do_jobs();
    // Nothing where it is the end. Looks whether a pause has to end meanwhile.
    std::optional<Task> next_task();
    void perform(const Task& task);
    void fail(std::exception_ptr cause);
    JsonObject stop();
    void end_threads();

    const std::unique_ptr<Server> server_;
    Jobs jobs_;
    ControlTarget target_;
    std::optional<Steering> steering_;
    std::atomic<bool> is_begun_ = false;
    std::atomic<bool> is_ending_ = false;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::deque<Task> tasks_;  // bounded by what each client may have in flight
    bool steps_are_done_ = false;
    bool is_stopped_ = false;
    std::exception_ptr failure_;
    std::thread calls_, doing_jobs_;
};

}  // namespace gpremap
