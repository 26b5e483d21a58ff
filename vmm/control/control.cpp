#include "vmm/control/control.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "vmm/base/errors.h"
#include "vmm/base/threads.h"
#include "vmm/control/methods.h"
#include "vmm/control/server.h"

namespace gpremap {

Control::Control(const std::string& path)
    : server_(std::make_unique<Server>(path)), jobs_([this](const Job& job) { tell("job", json_of(job)); }) {}

Control::~Control() {
    try {
        end();
    } catch (const std::exception& error) {
        spdlog::error("control: {}", error.what());
    }
}

void Control::begin(ControlTarget target, RunState& state) {
    target_ = std::move(target);
    steering_.emplace(target_, state, server_->events(), jobs_,
                      [this] { return is_ending_ || target_.is_interrupted(); });
    is_begun_ = true;
    calls_ = std::thread([this] {
        begin_thread(ThreadKind::control_calls, "control-calls");
        do_calls();
    });
    doing_jobs_ = std::thread([this] {
        begin_thread(ThreadKind::control_jobs, "control-jobs");
        do_jobs();
    });
    server_->start([this](Request request, Reply reply) { handle(std::move(request), std::move(reply)); },
                   {{"version", control_version}, {"program", "gpremap " GPREMAP_VERSION}});
}

void Control::tell(std::string_view kind, const JsonObject& body) {
    if (is_begun_) server_->events().tell(kind, steering_->now_ns(), body);
}

// ---- requests, by the server's thread ----

void Control::handle(Request request, Reply reply) {
    try {
        if (request.method == "job.wait") {
            jobs_.when_final(request.params.at("id"), [reply](const Job& job) { reply(json_of(job)); });
            return;
        }
        if (method_named(request.method).by != Method::By::caller) return reply(answer_at_once(request));
    } catch (const CallError& error) {
        return reply(error);
    }
    {
        const std::lock_guard lock(mutex_);
        if (!is_ending_) {
            tasks_.emplace_back(std::move(request), std::move(reply));
            changed_.notify_all();
            return;
        }
    }
    reply(CallError(ErrorCode::ending, "the run is about to end"));
}

JsonObject Control::answer_at_once(const Request& request) {
    if (request.method == "rpc.discover") return discovery();
    if (request.method == "stop") return stop();
    if (request.method == "resize") {
        Steering::check(request.params);
        const std::chrono::duration<double> longest(request.params.value("deadline", 60.0));
        return json_of(jobs_.add(request.params, longest));
    }
    if (request.method == "job.list") {
        JsonObject all = JsonObject::array();
        constexpr size_t most = 100;
        for (const Job& job : jobs_.last(most)) all.push_back(json_of(job));
        return {{"jobs", all}};
    }
    const uint64_t id = request.params.at("id");
    return json_of(request.method == "job.cancel" ? jobs_.cancel(id) : jobs_.find(id));
}

JsonObject Control::stop() {
    bool are_steps_to_stop = false;
    {
        const std::lock_guard lock(mutex_);
        are_steps_to_stop = !steps_are_done_ && !is_stopped_;
        is_stopped_ = true;
        changed_.notify_all();
    }
    if (are_steps_to_stop) target_.stop();
    return {{"stopping", true}};
}

// ---- the threads of calls and of jobs ----

std::optional<Control::Task> Control::next_task() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::milliseconds(100),
                              [&] { return !tasks_.empty() || is_ending_; })) {
        if (!target_.is_interrupted()) continue;
        lock.unlock();
        steering_->end_pause();  // the steps that are being done could not end
        lock.lock();
    }
    if (tasks_.empty()) return std::nullopt;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
}

void Control::do_calls() {
    while (const auto task = next_task()) perform(*task);
    steering_->end_pause();
}

void Control::perform(const Task& task) {
    const auto& [request, reply] = task;
    try {
        if (is_ending_) throw CallError(ErrorCode::ending, "the run is about to end");
        reply(steering_->perform(request));
    } catch (const CallError& error) {
        reply(error);
    } catch (const std::exception& error) {
        fail(std::current_exception());
        reply(CallError(ErrorCode::defect, error.what()));
    }
}

void Control::do_jobs() {
    while (const auto job = jobs_.take()) {
        try {
            steering_->perform(*job);
        } catch (const std::exception&) {
            fail(std::current_exception());
        }
    }
}

// The run cannot go on.
void Control::fail(std::exception_ptr cause) {
    {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = cause;
    }
    stop();
}

// ---- the end ----

void Control::wait_for_stop(const std::function<void()>& look) {
    std::unique_lock lock(mutex_);
    steps_are_done_ = true;
    while (!changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return is_stopped_; })) {
        lock.unlock();
        look();
        lock.lock();
    }
}

void Control::end_threads() {
    {
        const std::lock_guard lock(mutex_);
        is_ending_ = true;
        changed_.notify_all();
    }
    calls_.join();  // ends a pause, which the job under way may wait for
    jobs_.close();
    doing_jobs_.join();
    tell("ended", JsonObject::object());
    server_->stop();
}

void Control::end() {
    if (calls_.joinable()) end_threads();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace gpremap
