// The program's verbs and options as plain data, taken from what parses the command line: what manual pages and
// completions are made of.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gpremap {

// What a shell can offer for a value. It is known by the value's name in the help: FILE, SCENARIO, RESULT, BASE, NEW
// and SOCKET are files, DIR is a folder, and of any other nothing can be offered but its choices.
enum class ValueKind { nothing, words, file, folder };

struct CommandValue {
    std::string name;                  // as the help names it: "FILE"; empty: there is none
    std::vector<std::string> choices;  // all that it may be; empty: it is free
    bool is_optional = false;          // of an option: then it follows = and never a space

    bool exists() const { return !name.empty(); }
    ValueKind kind() const;
};

struct CommandOption {
    std::vector<std::string> names;  // with their dashes, short ones first
    CommandValue value;
    std::string does;
    bool may_repeat = false;
};

struct CommandArgument {
    CommandValue value;
    std::string does;
    bool is_required = false;
    bool may_repeat = false;
};

struct Command {
    std::string name;
    std::string does;
    std::string epilogue;  // what --help says at its end
    std::vector<CommandOption> options;
    std::vector<CommandArgument> arguments;
    std::vector<Command> verbs;
};

// Without what the help hides.
Command command_of(const CLI::App& app);

}  // namespace gpremap
