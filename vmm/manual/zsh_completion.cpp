#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>

#include "vmm/manual/completion.h"

namespace gpremap {

namespace {

// Inside of single quotes, and there of a specification of _arguments, where : [ and ] mean something.
std::string in_quotes(std::string_view text) {
    std::string result;
    for (char c : text) {
        if (c == '\'')
            result += "'\\''";
        else if (c == ':' || c == '[' || c == ']' || c == '\\')
            (result += '\\') += c;
        else
            result += c == '\n' ? ' ' : c;
    }
    return result;
}

// ":FILE:_files", behind an option or an argument.
std::string value_of(const CommandValue& value) {
    if (!value.exists()) return "";
    std::string action = " ";
    if (value.kind() == ValueKind::words) action = fmt::format("({})", fmt::join(value.choices, " "));
    if (value.kind() == ValueKind::file) action = "_files";
    if (value.kind() == ValueKind::folder) action = "_files -/";
    return fmt::format(":{}:{}", value.name, action);
}

std::string specification_of(const CommandOption& option, const std::string& name) {
    const bool is_long = name.starts_with("--");
    std::string equals;
    if (option.value.is_optional) equals = "=-";
    if (option.value.exists() && !option.value.is_optional && is_long) equals = "=";
    return fmt::format("{}{}{}[{}]{}{}", option.may_repeat ? "*" : "", name, equals, in_quotes(option.does),
                       option.value.is_optional ? ":" : "", value_of(option.value));
}

std::string arguments_of(const Command& command) {
    std::string text = "_arguments -s";
    for (const CommandOption& option : command.options)
        for (const std::string& name : option.names)
            fmt::format_to(std::back_inserter(text), " \\\n                '{}'",
                           specification_of(option, name));
    for (const CommandArgument& argument : command.arguments)
        fmt::format_to(std::back_inserter(text), " \\\n                '{}{}{}'",
                       argument.may_repeat ? "*" : "", argument.is_required || argument.may_repeat ? "" : ":",
                       value_of(argument.value));
    return text;
}

}  // namespace

std::string zsh_completion(const Command& program) {
    std::string text = fmt::format(
        "#compdef {}\n# Made from the program's own definition.\nlocal curcontext=$curcontext state\n",
        program.name);
    text += "local -a verbs=(\n";
    for (const Command& verb : program.verbs)
        fmt::format_to(std::back_inserter(text), "    '{}:{}'\n", verb.name, in_quotes(verb.does));
    text += ")\n" + arguments_of(program) +
            " \\\n                '1: :->verb' '*:: :->rest' && return 0\ncase $state in\n";
    text += "    verb) _describe verb verbs ;;\n    rest)\n        case $words[1] in\n";
    for (const Command& verb : program.verbs)
        fmt::format_to(std::back_inserter(text), "            {})\n                {}\n                ;;\n",
                       verb.name, arguments_of(verb));
    return text + "        esac\n        ;;\nesac\n";
}

}  // namespace gpremap
