#include "vmm/control/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "vmm/base/units.h"
#include "vmm/control/protocol.h"

namespace gpremap {

namespace {

using Kind = MethodArgument::Kind;
using By = Method::By;

constexpr std::pair<Kind, std::string_view> kind_names[] = {
    {Kind::text, "text"},       {Kind::size, "size"},          {Kind::address, "address"},
    {Kind::number, "number"},   {Kind::flag, "true or false"}, {Kind::seconds, "seconds"},
    {Kind::prot, "protection"}, {Kind::words, "words"},        {Kind::calls, "calls"}};

std::string_view name_of(Kind kind) {
    return std::ranges::find(kind_names, kind, &std::pair<Kind, std::string_view>::first)->second;
}

// ---- the table: what is not in the catalogue ----

const MethodArgument job_number{{"id"}, Kind::number, true, "of the job"};
const MethodArgument workload_name{{"name"}, Kind::text, true, "of the workload"};

std::vector<Method> own_methods() {
    return {
        {"rpc.discover", By::server, "this table, with the errors", {}, "`version`, `calls`, `errors`"},
        {"stats",
         By::caller,
         "how far the run is, and what it takes of the host",
         {},
         "`t_ns`, `steps`, `mapped`, `resident`, `pool`, `workloads`, `jobs`, `events`"},
        {"query",
         By::caller,
         "the extents of a range, or all",
         {{{"range", "at"}, Kind::address, false, "where it begins; without it: all of memory"},
          {{"size", "len"}, Kind::size, false, "what of it; without it: all of the range"}},
         "`extents`: as `map` of a result; `more`: where to ask for what is behind these 1,000, or null"},
        {"batch",
         By::caller,
         "several calls as one: all of them or none",
         {{{"calls"}, Kind::calls, true, "such as [{\"move\": {...}}, ...]"}},
         "as of one call, and `results`"},
        {"resize",
         By::jobs,
         "a job: the guest itself grows or shrinks a range, piece by piece",
         {{{"range"}, Kind::text, true, "its name"},
          {{"new_size"}, Kind::size, true, ""},
          {{"piece"}, Kind::size, false, "that one hypercall grows or shrinks; 64 MiB"},
          {{"may_move"}, Kind::flag, false, "to another place, where there is no room"},
          {{"deadline"}, Kind::seconds, false, "after which no piece begins; 60"}},
         "the job as it begins: `job` is its number"},
        {"job",
         By::server,
         "a job as it stands",
         {job_number},
         "`state`, `wanted`, `amount`, `why`, `errno`"},
        {"job.list", By::server, "the last 100 jobs", {}, "`jobs`"},
        {"job.wait", By::server, "answers once the job is final", {job_number}, "as of `job`"},
        {"job.cancel",
         By::server,
         "no further piece begins",
         {job_number},
         "the job, which may not be final yet"},
        {"workload.start", By::caller, "has one that was stopped go on", {workload_name}, "`state`"},
        {"workload.stop", By::caller, "stops one, and waits until it has", {workload_name}, "`state`"},
        {"pause", By::caller, "keeps all vCPUs out of the guest until `resume`", {}, "`paused`"},
        {"resume", By::caller, "lets them go on", {}, "`paused`"},
        {"checkpoint",
         By::caller,
         "writes the result so far, marked as interrupted, by rename",
         {{{"file"}, Kind::text, false, "path, from the run's folder; without it: that of --json"}},
         "`file`"},
        {"stop", By::server, "ends the run after the steps that are being done", {}, "`stopping`"},
        {"events",
         By::server,
         "sends this client what happens from now on, or from an event on",
         {{{"from"}, Kind::number, false, "the number of the first; without it: the next"}},
         "`from`, `oldest`"},
    };
}

// ---- the catalogue's ----

Kind kind_of(const Parameter& parameter) {
    switch (parameter.kind) {
        case Parameter::Kind::size:
            return Kind::size;
        case Parameter::Kind::prot:
            return Kind::prot;
        case Parameter::Kind::word:
            return Kind::text;
        default:
            return Kind::address;
    }
}

void add_arguments(const Parameter& parameter, std::vector<MethodArgument>& arguments) {
    if (!parameter.keys.empty())
        arguments.push_back(
            {parameter.keys, kind_of(parameter), parameter.omitted == Parameter::Omitted::refused, ""});
    if (!parameter.keys.empty() && parameter.keys.front() == "range")
        arguments.push_back({{"offset"}, Kind::size, false, ""});
    if (parameter.has_flags) arguments.push_back({{"flags"}, Kind::words, false, ""});
    for (const Switch& each : parameter.switches) arguments.push_back({{each.key}, Kind::flag, false, ""});
    if (parameter.field) arguments.push_back({{parameter.field->key}, Kind::number, false, ""});
}

Method method_of(const CallRow& row) {
    Method method{row.verb,
                  By::caller,
                  row.set == CallRow::Set::native ? "the native call, made by the host"
                                                  : "the call of a personality, made by the host",
                  {},
                  "`result`, `bytes`, `moved`, `huge_kept`, `mechanism`, `call_ns`",
                  &row};
    for (const Parameter& parameter : row.parameters) add_arguments(parameter, method.arguments);
    if (row.effect == Effect::defines || row.duplicates_from_nothing || row.duplicates_with)
        method.arguments.push_back({{"name"}, Kind::text, false, ""});
    return method;
}

std::vector<Method> all_methods() {
    std::vector<Method> all = own_methods();
    for (const CallRow& row : catalogue())
        if (row.number != abi::Call::query) all.push_back(method_of(row));  // it has a row of its own
    std::ranges::sort(all, {}, &Method::name);
    return all;
}

// ---- arguments ----

[[noreturn]] void fail(const std::string& key, std::string_view expected) {
    throw CallError(ErrorCode::bad_arguments, fmt::format("{}: expected {}", key, expected));
}

bool is_count(const JsonObject& value) {
    return value.is_number_unsigned() || (value.is_number_integer() && value.get<int64_t>() >= 0);
}

constexpr size_t longest_text = 4096;

void check(const std::string& key, const JsonObject& value, Kind kind) {
    switch (kind) {
        case Kind::text:
            if (!value.is_string() || value.get_ref<const std::string&>().size() > longest_text)
                fail(key, "a text of at most 4096 bytes");
            return;
        case Kind::number:
            if (!is_count(value)) fail(key, "a number, 0 or more");
            return;
        case Kind::seconds:
            if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > 1e6)
                fail(key, "seconds, from 0 to 1000000");
            return;
        case Kind::flag:
            if (!value.is_boolean()) fail(key, "true or false");
            return;
        case Kind::calls:
        case Kind::words:
            if (!value.is_array() && !is_count(value)) fail(key, "a list");
            return;
        case Kind::size:
        case Kind::address:
        case Kind::prot:
            if (!value.is_string() && !value.is_number_integer())
                fail(key, kind == Kind::size ? size_hint : "a text or a number");
            return;
    }
}

bool has_any(const JsonObject& arguments, const MethodArgument& argument) {
    return std::ranges::any_of(argument.names, [&](auto name) { return arguments.contains(name); });
}

std::string known_names(const Method& method) {
    std::set<std::string_view> names;
    for (const MethodArgument& each : method.arguments) names.insert(each.names.begin(), each.names.end());
    return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::span<const Method> methods() {
    static const std::vector<Method> all = all_methods();
    return all;
}

const Method& method_named(std::string_view name) {
    const auto all = methods();
    const auto found = std::ranges::lower_bound(all, name, {}, &Method::name);
    if (found == all.end() || found->name != name)
        throw CallError(ErrorCode::unknown_call, "there is no such call; rpc.discover has all");
    return *found;
}

void check_arguments(const Method& method, const JsonObject& arguments) {
    for (const auto& [key, value] : arguments.items()) {
        const auto known = std::ranges::find_if(method.arguments, [&name = key](const MethodArgument& each) {
            return std::ranges::count(each.names, name) > 0;
        });
        if (known == method.arguments.end())
            throw CallError(ErrorCode::bad_arguments,
                            fmt::format("{}: unknown; known: {}", key.substr(0, 40), known_names(method)));
        check(key, value, known->kind);
    }
    for (const MethodArgument& each : method.arguments)
        if (each.is_needed && !has_any(arguments, each))
            throw CallError(
                ErrorCode::bad_arguments,
                fmt::format("missing {}: expected {}", fmt::join(each.names, " or "), name_of(each.kind)));
}

// ---- for people and programs ----

JsonObject discovery() {
    JsonObject calls = JsonObject::array();
    for (const Method& method : methods()) {
        JsonObject arguments = JsonObject::array();
        for (const MethodArgument& each : method.arguments)
            arguments.push_back({{"names", each.names},
                                 {"kind", name_of(each.kind)},
                                 {"needed", each.is_needed},
                                 {"does", each.does}});
        calls.push_back({{"name", method.name},
                         {"does", method.does},
                         {"arguments", arguments},
                         {"result", method.result}});
    }
    JsonObject errors = JsonObject::array();
    for (const ErrorRow& row : error_rows())
        errors.push_back({{"code", static_cast<int>(row.code)}, {"name", row.name}, {"means", row.means}});
    return {{"version", control_version}, {"calls", calls}, {"errors", errors}};
}

std::string tables_of_methods() {
    std::string text = "| call | does | arguments | result |\n|---|---|---|---|\n";
    for (const Method& method : methods()) {
        std::string arguments;
        for (const MethodArgument& each : method.arguments) {
            arguments += fmt::format("{}`{}`{}", arguments.empty() ? "" : "; ",
                                     fmt::join(each.names, "` or `"), each.is_needed ? "" : "?");
            if (!each.does.empty()) arguments += fmt::format(" {}", each.does);
        }
        text += fmt::format("| `{}` | {} | {} | {} |\n", method.name, method.does, arguments, method.result);
    }
    text += "\n| code | name | means |\n|---|---|---|\n";
    for (const ErrorRow& row : error_rows())
        text += fmt::format("| {} | `{}` | {} |\n", static_cast<int>(row.code), row.name, row.means);
    return text;
}

}  // namespace gpremap
