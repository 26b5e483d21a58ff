#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

#include "vmm/manual/completion.h"

namespace gpremap {

namespace {

std::string in_quotes(std::string_view text) {
    std::string result = "'";
    for (char c : text) {
        if (c == '\'' || c == '\\') result += '\\';
        result += c == '\n' ? ' ' : c;
    }
    return result + "'";
}

// Options of `complete` that say what follows.
std::string value_of(const CommandValue& value) {
    if (!value.exists()) return "";
    switch (value.kind()) {
        case ValueKind::words:
            return fmt::format("{} -a '{}'", value.is_optional ? "" : " -x", fmt::join(value.choices, " "));
        case ValueKind::file:
            return " -r -F";
        case ValueKind::folder:
            return " -x -a '(__fish_complete_directories)'";
        default:
            return " -x";
    }
}

// `when` is what fish asks before it offers them.
std::string lines_of(const Command& command, const std::string& when) {
    std::string text;
    for (const CommandOption& option : command.options) {
        std::string names;
        for (const std::string& name : option.names)
            names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
        fmt::format_to(std::back_inserter(text), "complete -c gpremap -n '{}'{}{} -d {}\n", when, names,
                       value_of(option.value), in_quotes(option.does));
    }
    for (const CommandArgument& argument : command.arguments)
        if (argument.value.kind() != ValueKind::nothing)
            fmt::format_to(std::back_inserter(text), "complete -c gpremap -n '{}'{}\n", when,
                           argument.value.kind() == ValueKind::file ? " -F" : value_of(argument.value));
    return text;
}

}  // namespace

std::string fish_completion(const Command& program) {
    std::string text = "# Made from the program's own definition.\ncomplete -c gpremap -f\n";
    for (const Command& verb : program.verbs)
        fmt::format_to(std::back_inserter(text), "complete -c gpremap -n __fish_use_subcommand -a {} -d {}\n",
                       verb.name, in_quotes(verb.does));
    text += lines_of(program, "__fish_use_subcommand");
    for (const Command& verb : program.verbs)
        text += lines_of(verb, "__fish_seen_subcommand_from " + verb.name);
    return text;
}

}  // namespace gpremap
