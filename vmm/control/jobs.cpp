#include "vmm/control/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "vmm/control/protocol.h"

namespace gpremap {

namespace {

std::string_view name_of(JobState state) {
    return std::ranges::find(job_state_names, state, &std::pair<std::string_view, JobState>::second)->first;
}

}  // namespace

JsonObject json_of(const Job& job) {
    JsonObject json = {{"job", job.id},
                       {"state", name_of(job.state)},
                       {"params", job.params},
                       {"wanted", job.wanted},
                       {"amount", job.amount}};
    if (!job.why.empty()) json["why"] = job.why;
    if (!job.error.empty()) json["errno"] = job.error;
    return json;
}

Job Jobs::add(const JsonObject& params, std::chrono::duration<double> longest) {
    Job job;
    {
        const std::lock_guard lock(mutex_);
        if (is_closed_) throw CallError(ErrorCode::ending, "the run is about to end");
        if (waiting_.size() >= most_waiting)
            throw CallError(ErrorCode::busy, fmt::format("{} jobs wait already", waiting_.size()));
        job.id = next_++;
        job.params = params;
        job.deadline = Job::Clock::now() + std::chrono::duration_cast<Job::Clock::duration>(longest);
        jobs_[job.id] = job;
        waiting_.push_back(job.id);
        changed_(job);  // before it can be taken
    }
    added_.notify_one();
    return job;
}

auto& Jobs::at(auto& jobs, uint64_t id) {
    const auto found = jobs.find(id);
    if (found == jobs.end()) throw CallError(ErrorCode::no_such, fmt::format("there is no job {}", id));
    return found->second;
}

Job Jobs::find(uint64_t id) const {
    const std::lock_guard lock(mutex_);
    return at(jobs_, id);
}

Job Jobs::cancel(uint64_t id) {
    const std::lock_guard lock(mutex_);
    at(jobs_, id).is_cancelled = true;
    return at(jobs_, id);
}

void Jobs::when_final(uint64_t id, Changed told) {
    std::unique_lock lock(mutex_);
    const Job job = at(jobs_, id);
    if (!job.is_final()) {
        told_.emplace(id, std::move(told));
        return;
    }
    lock.unlock();
    told(job);
}

std::vector<Job> Jobs::last(size_t most) const {
    const std::lock_guard lock(mutex_);
    std::vector<Job> last;
    const size_t skipped = jobs_.size() - std::min(jobs_.size(), most);
    for (auto job = std::next(jobs_.begin(), static_cast<ptrdiff_t>(skipped)); job != jobs_.end(); job++)
        last.push_back(job->second);
    return last;
}

std::map<std::string_view, size_t> Jobs::counts() const {
    std::map<std::string_view, size_t> counts;
    for (const auto& [name, state] : job_state_names) counts[name] = 0;
    const std::lock_guard lock(mutex_);
    for (const auto& [id, job] : jobs_) counts[name_of(job.state)]++;
    return counts;
}

void Jobs::close() {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    added_.notify_all();
}

std::optional<Job> Jobs::take() {
    std::unique_lock lock(mutex_);
    added_.wait(lock, [&] { return !waiting_.empty() || is_closed_; });
    if (waiting_.empty()) return std::nullopt;
    Job& job = at(jobs_, waiting_.front());
    waiting_.pop_front();
    job.state = JobState::running;
    changed_(job);
    return job;
}

std::string Jobs::reason_to_end(const Job& job) const {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return "the run ends";
    if (jobs_.at(job.id).is_cancelled) return "given up by a client";
    if (Job::Clock::now() >= job.deadline) return "its deadline has passed";
    return "";
}

void Jobs::note(uint64_t id, uint64_t wanted, uint64_t amount) {
    const std::lock_guard lock(mutex_);
    Job& job = at(jobs_, id);
    job.wanted = wanted;
    job.amount = amount;
    changed_(job);
}

Job Jobs::finish(uint64_t id, const std::string& why, const std::string& error) {
    std::vector<Changed> told;
    Job job;
    {
        const std::lock_guard lock(mutex_);
        Job& kept = at(jobs_, id);
        kept.state = why.empty() ? JobState::done : kept.amount > 0 ? JobState::partly : JobState::refused;
        kept.why = why;
        kept.error = error;
        changed_(kept);
        job = kept;
        const auto [begin, end] = told_.equal_range(id);
        for (auto each = begin; each != end; each++) told.push_back(std::move(each->second));
        told_.erase(begin, end);
        final_.push_back(id);
        forget_oldest();
    }
    for (const Changed& each : told) each(job);
    return job;
}

// With mutex_ held.
void Jobs::forget_oldest() {
    if (final_.size() <= most_kept) return;
    jobs_.erase(final_.front());
    final_.pop_front();
}

}  // namespace gpremap
