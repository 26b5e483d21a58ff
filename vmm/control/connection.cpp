#include "vmm/control/connection.h"

#include <spdlog/spdlog.h>

#include <asio/buffer.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>
#include <utility>

#include "vmm/control/methods.h"

namespace gpremap {

namespace {

constexpr size_t most_unsent = 262144;  // bytes, beyond which nothing more is read from a client
constexpr size_t most_in_flight = 64;   // requests, the same
constexpr auto patience = std::chrono::seconds(10);

}  // namespace

Connection::Connection(Socket socket, const Handle& handle, const EventRing& events)
    : socket_(std::move(socket)), handle_(handle), events_(events), stalled_(socket_.get_executor()) {}

void Connection::start(const JsonObject& greeting) {
    send(notification("hello", greeting));
    read();
}

bool Connection::has_room() const {
    return out_.size() + writing_.size() < most_unsent && in_flight_ < most_in_flight;
}

// ---- in ----

void Connection::read() {
    if (is_reading_ || is_finishing_ || !has_room()) return;
    is_reading_ = true;
    socket_.async_read_some(asio::buffer(chunk_),
                            [self = shared_from_this()](asio::error_code error, size_t n) {
                                self->is_reading_ = false;
                                if (error) return self->close();
                                self->in_.append(self->chunk_.data(), n);
                                self->take_lines();
                            });
}

void Connection::take_lines() {
    size_t begin = 0;
    for (size_t end; !is_finishing_ && has_room() && (end = in_.find('\n', begin)) != std::string::npos;
         begin = end + 1)
        take_line(std::string_view(in_).substr(begin, end - begin));
    in_.erase(0, begin);
    const bool is_waiting = !has_room();
    if (!is_waiting && in_.size() > most_line && in_.find('\n') == std::string::npos)
        return end(CallError(ErrorCode::too_much, "a line has at most 65536 bytes"));
    read();
}

void Connection::take_line(std::string_view line) {
    if (line.size() > most_line) return end(CallError(ErrorCode::too_much, "a line has at most 65536 bytes"));
    if (line.empty()) return;
    Incoming incoming = read_line(line);
    auto pending = std::make_shared<Pending>();
    pending->is_batch = incoming.is_batch;
    pending->open = incoming.entries.size();
    in_flight_ += incoming.entries.size();
    for (auto& entry : incoming.entries) {
        if (auto* request = std::get_if<Request>(&entry)) {
            dispatch(std::move(*request), pending);
            continue;
        }
        pending->answers.push_back(std::move(std::get<JsonObject>(entry)));
        pending->open--;
        in_flight_--;
    }
    if (pending->open == 0) answer(*pending);
}

void Connection::dispatch(Request request, const std::shared_ptr<Pending>& pending) {
    // The outcome comes by any thread, and when it likes: the client may be gone.
    Request kept{request.id, request.wants_answer, request.method, {}};
    Reply reply = [weak = weak_from_this(), executor = socket_.get_executor(), pending,
                   kept = std::move(kept)](Outcome outcome) {
        asio::post(executor, [weak, pending, kept, outcome = std::move(outcome)] {
            if (const auto self = weak.lock()) self->settle(kept, outcome, *pending);
        });
    };
    try {
        check_arguments(method_named(request.method), request.params);
        if (request.method == "events") return reply(subscribe(request.params));
    } catch (const CallError& error) {
        return reply(error);
    }
    handle_(std::move(request), std::move(reply));
}

Outcome Connection::subscribe(const JsonObject& arguments) {
    const uint64_t oldest = events_.oldest(), next = events_.next();
    const uint64_t from = arguments.value("from", next);
    if (from < oldest)
        return CallError(ErrorCode::too_late, "events from there on are gone", {{"oldest", oldest}});
    if (from > next) return CallError(ErrorCode::bad_arguments, "from: no event has that number yet");
    next_event_ = from;
    return JsonObject{{"from", from}, {"oldest", oldest}};
}

// ---- out ----

void Connection::settle(const Request& request, const Outcome& outcome, Pending& pending) {
    if (request.wants_answer) pending.answers.push_back(answer_to(request.id, outcome));
    pending.open--;
    in_flight_--;
    if (pending.open == 0) answer(pending);
    if (request.method == "events") look_for_events();
    take_lines();
    if (is_finishing_ && in_flight_ == 0) close_when_sent();
}

void Connection::answer(const Pending& pending) {
    if (pending.answers.empty()) return;
    send(pending.is_batch ? JsonObject(pending.answers) : pending.answers.front());
}

void Connection::send(const JsonObject& message) {
    if (is_ending_ || !is_open()) return;
    out_ += line_of(message);
    write();
}

void Connection::look_for_events() {
    if (!next_event_ || !is_open() || out_.size() + writing_.size() >= most_unsent) return;
    const auto lines = events_.from(*next_event_, most_unsent / 4);
    if (!lines) {
        const uint64_t oldest = events_.oldest();
        spdlog::warn("control: a client reads too slowly for the events; it is dropped");
        return end(
            CallError(ErrorCode::too_late, "events came faster than they were read", {{"oldest", oldest}}));
    }
    for (const std::string& line : *lines) out_ += line;
    *next_event_ += lines->size();
    write();
}

void Connection::write() {
    if (!writing_.empty() || !is_open()) return;
    if (out_.empty()) {
        if (is_ending_) close();
        return;
    }
    writing_ = std::exchange(out_, {});
    stalled_.expires_after(patience);
    stalled_.async_wait([self = shared_from_this()](asio::error_code error) {
        if (error || self->writing_.empty()) return;
        spdlog::warn("control: a client takes nothing that is sent to it; it is dropped");
        self->close();
    });
    asio::async_write(socket_, asio::buffer(writing_),
                      [self = shared_from_this()](asio::error_code error, size_t) {
                          self->stalled_.cancel();
                          self->writing_.clear();
                          if (error) return self->close();
                          self->look_for_events();
                          self->write();
                          self->take_lines();
                      });
}

// ---- the end ----

void Connection::end(const CallError& because) {
    if (is_ending_ || !is_open()) return;
    if (because.code == ErrorCode::too_much)
        spdlog::warn("control: {}; the client is dropped", because.what());
    send(answer_to(nullptr, because));
    next_event_ = {};
    close_when_sent();
}

void Connection::finish() {
    look_for_events();
    is_finishing_ = true;
    if (in_flight_ == 0) close_when_sent();
}

void Connection::close_when_sent() {
    is_finishing_ = is_ending_ = true;
    write();
}

void Connection::close() {
    asio::error_code ignored;
    stalled_.cancel();
    socket_.close(ignored);
}

}  // namespace gpremap
