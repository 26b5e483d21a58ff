#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/manual/completion.h"

namespace gpremap {

namespace {

// COMP_WORDS has = as a word of its own.
constexpr std::string_view head = R"(# What bash offers after {0}; made from the program's own definition.
_{0}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} verb='' i
    [[ $word == = ]] && word=''
    [[ $before == = ]] && before=${{COMP_WORDS[COMP_CWORD - 2]}}
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in {1}) verb=${{COMP_WORDS[i]}}; break ;; esac
    done
    local words='' files='' options=''
)";
constexpr std::string_view tail = R"(    [[ $word == -* ]] && {{ words=$options; files=''; }}
    COMPREPLY=()
    [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if [[ -n $files ]]; then
        mapfile -t COMPREPLY < <(compgen "$files" -- "$word")
        compopt -o filenames
    fi
}}
complete -F _{0} {0}
)";

// What sets what is offered for a value: an assignment of bash.
std::string offer(const CommandValue& value) {
    switch (value.kind()) {
        case ValueKind::words:
            return fmt::format("words='{}'", fmt::join(value.choices, " "));
        case ValueKind::file:
            return "files=-f";
        case ValueKind::folder:
            return "files=-d";
        default:
            return ":";
    }
}

std::vector<std::string> names_of(const std::vector<Command>& verbs) {
    std::vector<std::string> names;
    for (const Command& verb : verbs) names.push_back(verb.name);
    return names;
}

// Of the last argument, which is the one that may repeat; most verbs have one.
std::string offer_of_arguments(const Command& command) {
    return command.arguments.empty() ? ":" : offer(command.arguments.back().value);
}

std::string branch_of(const Command& verb) {
    std::string values, options;
    for (const CommandOption& option : verb.options) {
        for (const std::string& name : option.names)
            options += name + (option.value.is_optional ? "= " : " ");
        if (option.value.exists())
            fmt::format_to(std::back_inserter(values), "                {}) {} ;;\n",
                           fmt::join(option.names, " | "), offer(option.value));
    }
    return fmt::format(
        "            options='{}'\n            case $before in\n{}                *) {} ;;\n            "
        "esac\n",
        options, values, offer_of_arguments(verb));
}

}  // namespace

std::string bash_completion(const Command& program) {
    const std::vector<std::string> verbs = names_of(program.verbs);
    std::string text = fmt::format(head, program.name, fmt::join(verbs, " | "));
    text += "    case $verb in\n        '')\n" + branch_of(program) +
            fmt::format("            words='{}'\n            ;;\n", fmt::join(verbs, " "));
    for (const Command& verb : program.verbs)
        text += fmt::format("        {})\n{}            ;;\n", verb.name, branch_of(verb));
    return text + "    esac\n" + fmt::format(tail, program.name);
}

}  // namespace gpremap
