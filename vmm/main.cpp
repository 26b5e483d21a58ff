// The program: its verbs and their options. One function registers each verb; what a verb does is in a
// file of its own.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "vmm/check.h"
#include "vmm/doctor.h"
#include "vmm/errors.h"
#include "vmm/log.h"
#include "vmm/scenario.h"
#include "vmm/toml_reader.h"

namespace gpremap {
namespace {

// 0 and 1 are what a verb returns: all as expected, or not.
enum ExitStatus { bad_usage = 2, host_lacks = 3, guest_died = 4, internal_error = 5 };

// What the chosen verb does, once the log is set up.
using Work = std::function<int()>;

struct Program {
    CLI::App app{"Gives ranges of a guest's physical memory mremap semantics, on KVM.", "gpremap"};
    LogOptions log;
    Work work;

    // A verb with the options that all have.
    CLI::App& add_verb(const std::string& name, const std::string& does) {
        CLI::App& verb = *app.add_subcommand(name, does);
        verb.add_flag("-v,--verbose", log.verbose, "say more on standard error; twice and thrice: even more");
        verb.add_flag("-q,--quiet", log.quiet, "only errors on standard error, and no progress bar");
        verb.add_option("--log", log.file, "write the log to this file, too")->type_name("FILE");
        return verb;
    }
};

void add_json(CLI::App& verb, std::string& json) {
    verb.add_option("--json", json, "write the result to this file, too")->type_name("FILE");
}

void add_check(Program& program) {
    CLI::App& verb = program.add_verb("check", "parse and validate scenarios and case files; run nothing");
    auto files = std::make_shared<std::vector<std::string>>();
    verb.add_option("FILE", *files, "scenarios and case files")->required();
    verb.callback([&program, files] { program.work = [files] { return run_check(*files, std::cout); }; });
}

void add_doctor(Program& program) {
    CLI::App& verb = program.add_verb("doctor", "say what this host can do, with the reason and the mend");
    auto options = std::make_shared<DoctorOptions>();
    add_json(verb, options->json);
    verb.callback(
        [&program, options] { program.work = [options] { return run_doctor(*options, std::cout); }; });
}

int run(int argc, char** argv) {
    Program program;
    program.app.set_version_flag("--version", "gpremap " GPREMAP_VERSION);
    program.app.require_subcommand(1);
    program.app.footer(
        "Exit status: 0 all as expected, 1 an expectation failed, 2 bad usage or configuration,\n"
        "3 the host lacks something, 4 the guest died, 5 internal error.");
    add_check(program);
    add_doctor(program);
    try {
        program.app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return program.app.exit(error) == 0 ? 0 : bad_usage;  // --help and --version end here, too
    }
    set_up_log(program.log);
    return program.work();
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    using namespace gpremap;
    try {
        return run(argc, argv);
    } catch (const ConfigError& error) {
        std::cerr << error.what() << '\n';
        return bad_usage;
    } catch (const HostLacks& error) {
        std::cerr << "gpremap: " << error.what()
                  << "\n(`gpremap doctor` shows everything that this host lacks)\n";
        return host_lacks;
    } catch (const GuestDied& error) {
        std::cerr << "gpremap: the guest died\n" << error.what() << '\n';
        return guest_died;
    } catch (const std::exception& error) {
        std::cerr << "gpremap: internal error: " << error.what() << '\n';
        return internal_error;
    }
}
