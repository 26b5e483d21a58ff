#include "vmm/control/protocol.h"

#include <algorithm>
#include <array>
#include <utility>

namespace gpremap {

namespace {

constexpr std::array rows = {
    ErrorRow{ErrorCode::not_json, "not_json", "the line is no JSON, or nested deeper than 16"},
    ErrorRow{ErrorCode::no_request, "no_request", "it is JSON, but no request of JSON-RPC 2.0"},
    ErrorRow{ErrorCode::unknown_call, "unknown_call", "there is no such call"},
    ErrorRow{ErrorCode::bad_arguments, "bad_arguments",
             "an argument is missing, unknown or not what it should be"},
    ErrorRow{ErrorCode::defect, "defect", "the program has a defect, or the host failed; the run ends"},
    ErrorRow{ErrorCode::refused, "refused",
             "the VM has refused the call, and nothing has changed: `data` has `errno` and `amount`"},
    ErrorRow{ErrorCode::paused, "paused", "the vCPUs are paused: resume them first"},
    ErrorRow{ErrorCode::busy, "busy", "as many jobs wait as may wait: try again"},
    ErrorRow{ErrorCode::no_such, "no_such", "there is no such job or workload, or it cannot do that now"},
    ErrorRow{ErrorCode::ending, "ending", "the run is about to end"},
    ErrorRow{ErrorCode::too_late, "too_late", "events that were asked for are gone: `data` has the `oldest`"},
    ErrorRow{ErrorCode::not_written, "not_written",
             "the file could not be written; an older one is as it was"},
    ErrorRow{
        ErrorCode::too_much, "too_much",
        "a line, a batch or a number of clients is over its limit; but for a batch, the connection ends"},
};

constexpr int deepest = 16;

bool is_id(const JsonObject& id) {
    constexpr size_t longest = 256;
    return id.is_null() || id.is_number() ||
           (id.is_string() && id.get_ref<const std::string&>().size() <= longest);
}

JsonObject no_request(const JsonObject& id, const std::string& why) {
    return answer_to(id, CallError(ErrorCode::no_request, why));
}

std::variant<Request, JsonObject> read_request(const JsonObject& json) {
    if (!json.is_object()) return no_request(nullptr, "expected a request, an object");
    const JsonObject id = json.value("id", JsonObject());
    if (!is_id(id)) return no_request(nullptr, "id: expected a number, null or a text of at most 256 bytes");
    if (json.value("jsonrpc", JsonObject()) != "2.0") return no_request(id, "jsonrpc: expected \"2.0\"");
    const auto method = json.find("method");
    if (method == json.end() || !method->is_string())
        return no_request(id, "method: expected the name of a call");
    Request request{id, json.contains("id"), method->get<std::string>()};
    if (const auto params = json.find("params"); params != json.end()) {
        if (!params->is_object())
            return no_request(id, "params: expected an object: arguments have names here");
        request.params = *params;
    }
    return request;
}

}  // namespace

std::span<const ErrorRow> error_rows() {
    return rows;
}

Incoming read_line(std::string_view line) {
    bool is_too_deep = false;
    const auto watch_depth = [&](int depth, nlohmann::detail::parse_event_t, JsonObject&) {
        is_too_deep = is_too_deep || depth > deepest;
        return depth <= deepest;
    };
    const JsonObject json = JsonObject::parse(line, watch_depth, false);
    if (is_too_deep || json.is_discarded())
        return {false,
                {answer_to(nullptr, CallError(ErrorCode::not_json,
                                              is_too_deep ? "nested too deep" : "expected JSON"))}};
    if (!json.is_array()) return {false, {read_request(json)}};
    if (json.empty()) return {false, {no_request(nullptr, "an empty batch")}};
    if (json.size() > most_in_batch)
        return {false,
                {answer_to(nullptr, CallError(ErrorCode::too_much, "a batch has at most 64 requests"))}};
    Incoming incoming{true, {}};
    for (const JsonObject& each : json) incoming.entries.push_back(read_request(each));
    return incoming;
}

JsonObject answer_to(const JsonObject& id, const Outcome& outcome) {
    JsonObject answer = {{"jsonrpc", "2.0"}, {"id", id}};
    if (const auto* result = std::get_if<JsonObject>(&outcome)) {
        answer["result"] = *result;
        return answer;
    }
    const auto& error = std::get<CallError>(outcome);
    const auto row = std::ranges::find(rows, error.code, &ErrorRow::code);
    answer["error"] = {{"code", static_cast<int>(error.code)}, {"message", error.what()}};
    answer["error"]["data"] = error.data;
    answer["error"]["data"]["name"] = row->name;
    return answer;
}

JsonObject notification(std::string_view method, JsonObject params) {
    return {{"jsonrpc", "2.0"}, {"method", method}, {"params", std::move(params)}};
}

std::string line_of(const JsonObject& message) {
    return message.dump(-1, ' ', false, JsonObject::error_handler_t::replace) + '\n';
}

}  // namespace gpremap
