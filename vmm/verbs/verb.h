// What a verb is: it adds itself to the program, with its options, and says what it does when it is chosen.
// Each has a file of its own; main.cpp has the table of them. Manual pages and completions are made of what is said
// here; what a shell offers for a value goes by its type_name (manual/command_line.h).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "vmm/base/log.h"

namespace gpremap {

// What the chosen verb does, once the log is set up.
using Work = std::function<int()>;

struct Program {
    CLI::App app{"Gives ranges of a guest's physical memory mremap semantics, on KVM.", "gpremap"};
    std::vector<std::string> command;  // as the program was called: its name and all arguments
    LogOptions log;
    Work work;

    // A verb with the options that all have.
    CLI::App& add_verb(const std::string& name, const std::string& does) {
        CLI::App& verb = *app.add_subcommand(name, does);
        verb.add_flag("-v,--verbose", log.verbose,
                      "say on standard error what was done and why; -vv: and what each step cost, and each "
                      "passed case");
        verb.add_flag("-q,--quiet", log.quiet, "only errors on standard error, and no progress bar");
        verb.add_option("--log", log.file, "write the log to this file, too")->type_name("FILE");
        return verb;
    }
};

}  // namespace gpremap
