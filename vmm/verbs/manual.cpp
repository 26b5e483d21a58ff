// `gpremap manual FOLDER`: manual pages and completions, for the build. No user needs it, so the help hides it.
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/base/output_file.h"
#include "vmm/manual/command_line.h"
#include "vmm/manual/completion.h"
#include "vmm/manual/man_page.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

void write(const std::filesystem::path& file, const std::string& text) {
    if (const auto problem = OutputFile("FOLDER", file).write(text)) throw ConfigError(*problem);
}

// Makes man1/, with a page for each verb that is there now and no other, and a file for each shell by the name that
// it looks for. Throws ConfigError where it cannot, with some of them made.
int write_manual(const Command& program, const std::filesystem::path& folder) {
    std::error_code error;
    const std::filesystem::path pages = folder / "man1";
    std::filesystem::remove_all(pages, error);
    if (!error) std::filesystem::create_directories(pages, error);
    if (error) throw ConfigError(pages.string() + ": cannot be made anew: " + error.message());
    write(pages / (program.name + ".1"), program_page(program, GPREMAP_VERSION));
    for (const Command& verb : program.verbs)
        write(pages / (program.name + "-" + verb.name + ".1"), verb_page(program, verb, GPREMAP_VERSION));
    write(folder / program.name, bash_completion(program));
    write(folder / ("_" + program.name), zsh_completion(program));
    write(folder / (program.name + ".fish"), fish_completion(program));
    return 0;
}

}  // namespace

void add_manual(Program& program) {
    CLI::App& verb = program.add_verb("manual", "write manual pages and completions");
    verb.group("");
    auto folder = std::make_shared<std::string>();
    verb.add_option("FOLDER", *folder, "where they go; what man1 in it has is replaced")->required();
    verb.callback([&program, folder] {
        program.work = [&program, folder] { return write_manual(command_of(program.app), *folder); };
    });
}

}  // namespace gpremap
