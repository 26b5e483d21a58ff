#include "vmm/manual/command_line.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace gpremap {

namespace {

// "FILE", ":{ept,arm}" or "WAY:{grow,move}": the name, and what a check allows.
CommandValue value_of(const CLI::Option& option) {
    CommandValue value;
    const std::string text = option.get_type_name();
    value.name = option.get_positional() ? option.get_name(true) : text.substr(0, text.find(':'));
    const size_t begin = text.find(":{"), end = text.rfind('}');
    if (begin != std::string::npos && end != std::string::npos) {
        std::istringstream choices(text.substr(begin + 2, end - begin - 2));
        for (std::string choice; std::getline(choices, choice, ',');) value.choices.push_back(choice);
        std::ranges::sort(value.choices);
        if (value.name.empty()) value.name = "WORD";
    }
    const bool is_flag = option.get_items_expected_max() == 0;
    value.is_optional = is_flag && !value.choices.empty();
    if (is_flag && !value.is_optional) value.name.clear();
    return value;
}

CommandOption option_of(const CLI::Option& option) {
    CommandOption result{{}, value_of(option), option.get_description()};
    for (const std::string& name : option.get_snames()) result.names.push_back("-" + name);
    for (const std::string& name : option.get_lnames()) result.names.push_back("--" + name);
    result.may_repeat = option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
    return result;
}

CommandArgument argument_of(const CLI::Option& option) {
    return {value_of(option), option.get_description(), option.get_required(),
            option.get_items_expected_max() > 1};
}

}  // namespace

ValueKind CommandValue::kind() const {
    constexpr std::array files{"FILE", "SCENARIO", "RESULT", "BASE", "NEW", "SOCKET"};
    if (!choices.empty()) return ValueKind::words;
    if (std::ranges::find(files, name) != files.end()) return ValueKind::file;
    return name == "DIR" ? ValueKind::folder : ValueKind::nothing;
}

Command command_of(const CLI::App& app) {
    Command command{app.get_name(), app.get_description(), app.get_footer(), {}, {}, {}};
    for (const CLI::Option* option : app.get_options()) {
        if (option->get_group().empty()) continue;
        if (option->nonpositional())
            command.options.push_back(option_of(*option));
        else
            command.arguments.push_back(argument_of(*option));
    }
    for (const CLI::App* verb : app.get_subcommands({}))
        if (!verb->get_group().empty()) command.verbs.push_back(command_of(*verb));
    return command;
}

}  // namespace gpremap
