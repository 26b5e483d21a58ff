// `gpremap ctl SOCKET CALL...`: speaks to a run that is under control.
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/control/client.h"
#include "vmm/control/protocol.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct CtlOptions {
    std::string socket;
    std::string call;                    // empty: list them
    std::vector<std::string> arguments;  // key=value
    std::optional<uint64_t> from;        // events
    bool is_json = false;
};

std::string text_of(const JsonObject& value) {
    return value.is_string() ? value.get<std::string>()
           : value.is_null() ? "-"
                             : value.dump(-1, ' ', false, JsonObject::error_handler_t::replace);
}

// A table for a list of objects, key: value for the rest.
void print_rows(const JsonObject& rows, std::ostream& out) {
    for (const JsonObject& row : rows) {
        std::string line;
        if (row.is_object())
            for (const auto& [key, value] : row.items())
                line += fmt::format("{}{}={}", line.empty() ? "" : "  ", key, text_of(value));
        fmt::print(out, "  {}\n", row.is_object() ? line : text_of(row));
    }
}

void print(const JsonObject& result, std::ostream& out) {
    for (const auto& [key, value] : result.items()) {
        const bool is_list = value.is_array() && !value.empty();
        fmt::print(out, "{}: {}\n", key, is_list ? fmt::format("{}", value.size()) : text_of(value));
        if (is_list) print_rows(value, out);
    }
}

void print_event(const JsonObject& event, std::ostream& out) {
    std::string rest;
    for (const auto& [key, value] : event.items())
        if (key != "seq" && key != "t_ns" && key != "kind")
            rest += fmt::format("  {}={}", key, text_of(value));
    fmt::print(out, "{:>8} {:>12.6f} s  {:<8}{}\n", event.value("seq", 0ull),
               static_cast<double>(event.value("t_ns", 0ull)) / 1e9, event.value("kind", ""), rest);
}

void list_calls(const JsonObject& discovery, std::ostream& out) {
    for (const JsonObject& call : discovery.at("calls")) {
        std::string arguments;
        for (const JsonObject& argument : call.at("arguments")) {
            const std::string key = argument.at("names").at(0);
            arguments += argument.at("needed").get<bool>() ? " " + key + "=" : " [" + key + "=]";
        }
        fmt::print(out, "{}{}\n    {}\n", call.at("name").get<std::string>(), arguments,
                   call.at("does").get<std::string>());
    }
}

// Bad arguments are bad usage; what the run refuses is an expectation that failed.
int status_of(const JsonObject& error) {
    const int code = error.value("code", 0);
    const bool is_usage = code == static_cast<int>(ErrorCode::bad_arguments) ||
                          code == static_cast<int>(ErrorCode::unknown_call);
    return is_usage ? 2 : 1;
}

// Of a job that is final: the whole of it, or not.
int status_of_result(const JsonObject& result) {
    const std::string state = result.is_object() && result.contains("job") ? result.value("state", "") : "";
    return state == "refused" || state == "partly" ? 1 : 0;
}

// Until the run ends. Returns 0; 1 where events are gone that were to come.
int follow(ControlClient& client, bool is_json, std::ostream& out) {
    while (const auto message = client.next()) {
        if (message->contains("error")) {
            fmt::print(std::cerr, "gpremap: {}\n", message->at("error").dump());
            return 1;
        }
        if (message->value("method", "") != "event") continue;
        if (is_json)
            out << line_of(message->at("params"));
        else
            print_event(message->at("params"), out);
        if (!out.flush()) return 0;  // who reads it has had enough
    }
    return 0;
}

int ctl(const CtlOptions& options, std::ostream& out) {
    ControlClient client(options.socket);
    JsonObject arguments = arguments_of(options.arguments);
    if (options.from) arguments["from"] = *options.from;
    const bool lists = options.call.empty();
    const JsonObject answer = client.call(lists ? "rpc.discover" : options.call, arguments);
    if (answer.contains("error")) {
        const JsonObject& error = answer.at("error");
        if (options.is_json) out << line_of(answer);
        fmt::print(std::cerr, "gpremap: {}: {}{}\n", options.call, text_of(error.at("message")),
                   error.at("data").contains("oldest")
                       ? "; the oldest is " + text_of(error.at("data").at("oldest"))
                       : "");
        return status_of(error);
    }
    const JsonObject& result = answer.at("result");
    if (options.call == "events") return follow(client, options.is_json, out);
    if (options.is_json)
        out << line_of(result);
    else if (lists || options.call == "rpc.discover")
        list_calls(result, out);
    else
        print(result, out);
    return status_of_result(result);
}

}  // namespace

void add_ctl(Program& program) {
    CLI::App& verb = program.add_verb("ctl", "steer a run that listens: gpremap run --control SOCKET");
    auto options = std::make_shared<CtlOptions>();
    verb.add_option("SOCKET", options->socket, "what the run listens on")->required();
    verb.add_option("CALL", options->call,
                    "such as stats, query, grow, stop or events; without it: lists them all");
    verb.add_option("ARGUMENT", options->arguments,
                    "key=value, such as range=heap new_size=+64MiB: JSON, or else a text");
    verb.add_option("--from", options->from, "events: from this number on; 0 is the first")->type_name("N");
    verb.add_flag("--json", options->is_json, "print the answer as it is: one JSON object a line");
    verb.callback([&program, options] { program.work = [options] { return ctl(*options, std::cout); }; });
}

}  // namespace gpremap
