// Jobs: what takes the guest's help and some time. Each has a number, can be looked at and given up, and ends in
// exactly one of three ways.
//
//     waiting --> running --> done       all of it
//        |           |    \-> partly     some of it, then it was refused, given up or too late
//        \-----------\------> refused    nothing of it
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/base/json_file.h"

namespace gpremap {

enum class JobState { waiting, running, done, refused, partly };

inline constexpr std::pair<std::string_view, JobState> job_state_names[] = {{"waiting", JobState::waiting},
                                                                            {"running", JobState::running},
                                                                            {"done", JobState::done},
                                                                            {"refused", JobState::refused},
                                                                            {"partly", JobState::partly}};

struct Job {
    using Clock = std::chrono::steady_clock;

    uint64_t id = 0;
    JsonObject params;  // of the request
    Clock::time_point deadline;
    bool is_cancelled = false;
    JobState state = JobState::waiting;
    uint64_t wanted = 0;  // bytes; 0 while it waits
    uint64_t amount = 0;  // bytes, of these: so far, and in the end
    std::string why;      // of refused and partly
    std::string error;    // the name of the errno, where a call was refused

    bool is_final() const { return state != JobState::waiting && state != JobState::running; }
};

JsonObject json_of(const Job& job);

// By any thread.
class Jobs {
  public:
    static constexpr size_t most_waiting = 1024;
    static constexpr size_t most_kept = 4096;  // that are final

    using Changed = std::function<void(const Job&)>;
    // `changed` is told of every change of state, by the thread that makes it, in the order of a job's changes.
    explicit Jobs(Changed changed) : changed_(std::move(changed)) {}

    // Throws CallError: busy, ending.
    Job add(const JsonObject& params, std::chrono::duration<double> longest);
    // Throw CallError where there is no such job any more.
    Job find(uint64_t id) const;
    // One that is final already stays so.
    Job cancel(uint64_t id);
    // Calls `told` once it is final, at once where it is, by whoever makes it so.
    void when_final(uint64_t id, Changed told);
    // Of those that are known: the last `most`, by their numbers; how many there are in each state.
    std::vector<Job> last(size_t most) const;
    std::map<std::string_view, size_t> counts() const;

    // No job is added any more; those that are there are given up.
    void close();

    // ---- by the one thread that does them ----

    // Waits for the next; nothing once closed and empty.
    std::optional<Job> take();
    // Why the job has to end now: empty where it need not.
    std::string reason_to_end(const Job& job) const;
    void note(uint64_t id, uint64_t wanted, uint64_t amount);
    // Which of the three states it is, its amount says. `why` is empty where nothing is in the way.
    Job finish(uint64_t id, const std::string& why, const std::string& error);

  private:
    // Of `jobs`, which are these.
    static auto& at(auto& jobs, uint64_t id);
    void forget_oldest();

    const Changed changed_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable added_;
    std::map<uint64_t, Job> jobs_;
    std::deque<uint64_t> waiting_;
    std::deque<uint64_t> final_;
    std::multimap<uint64_t, Changed> told_;
    uint64_t next_ = 1;
    bool is_closed_ = false;
};

}  // namespace gpremap
