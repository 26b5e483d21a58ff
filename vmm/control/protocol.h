// JSON-RPC 2.0 on a line: what a client has sent, taken apart, and what it gets.
#pragma once

#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vmm/base/json_file.h"

namespace gpremap {

// Of the calls, their arguments, answers and events. Rises when one of them changes for those who use it.
inline constexpr unsigned control_version = 1;

// They never change their meaning; docs/control.md lists them.
enum class ErrorCode {
    not_json = -32700,
    no_request = -32600,
    unknown_call = -32601,
    bad_arguments = -32602,
    defect = -32603,
    refused = -32000,
    paused = -32001,
    busy = -32002,
    no_such = -32003,
    ending = -32004,
    too_late = -32005,
    not_written = -32006,
    too_much = -32007,
};

struct ErrorRow {
    ErrorCode code;
    std::string_view name;
    std::string_view means;
};
std::span<const ErrorRow> error_rows();

// Why a request has no result.
struct CallError : std::runtime_error {
    CallError(ErrorCode the_code, const std::string& message, JsonObject more = JsonObject::object())
        : std::runtime_error(message), code(the_code), data(std::move(more)) {}
    ErrorCode code;
    JsonObject data;  // beside the code's name; may be empty
};

struct Request {
    JsonObject id;
    bool wants_answer = true;  // false: it has no id, so its sender wants to hear nothing
    std::string method;
    JsonObject params = JsonObject::object();
};

// One line of a client's: a request, or several as a batch. What is none is answered as it stands.
struct Incoming {
    bool is_batch = false;
    std::vector<std::variant<Request, JsonObject>> entries;
};

// For limits on what one client may have the server keep.
inline constexpr size_t most_line = 65536;  // bytes
inline constexpr size_t most_in_batch = 64;

// Throws nothing but std::bad_alloc: what is wrong with the line is an entry.
Incoming read_line(std::string_view line);

using Outcome = std::variant<JsonObject, CallError>;
// Takes the outcome of one request; by any thread, once.
using Reply = std::function<void(Outcome)>;

JsonObject answer_to(const JsonObject& id, const Outcome& outcome);
JsonObject notification(std::string_view method, JsonObject params);

// With its end.
std::string line_of(const JsonObject& message);

}  // namespace gpremap
