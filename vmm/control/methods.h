// The table of all calls that the socket takes. Arguments are checked by it, `rpc.discover` and docs/control.md are
// made of it. The VM's own calls are in it by their rows of the catalogue.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/calls/catalogue.h"

namespace gpremap {

struct MethodArgument {
    enum class Kind { text, size, address, number, seconds, flag, prot, words, calls };
    std::vector<std::string_view> names;  // any one of them
    Kind kind = Kind::text;
    bool is_needed = false;
    std::string_view does;  // empty where its name says it
};

struct Method {
    // Who does it: the socket's own thread, at once; the thread of calls, one after another; the thread of jobs.
    enum class By { server, caller, jobs };
    std::string_view name;
    By by = By::server;
    std::string_view does;
    std::vector<MethodArgument> arguments;
    std::string_view result;
    const CallRow* row = nullptr;  // of a call of the VM's
};

// By name.
std::span<const Method> methods();
// Throw CallError: unknown_call; bad_arguments, with what was expected. The arguments of a row are read, and thereby
// checked further, by read_action.
const Method& method_named(std::string_view name);
void check_arguments(const Method& method, const JsonObject& arguments);

// What rpc.discover answers: calls, their arguments, errors.
JsonObject discovery();
// The same as tables in Markdown.
std::string tables_of_methods();

}  // namespace gpremap
