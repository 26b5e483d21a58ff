// The program: the table of its verbs, and its exit statuses.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/base/interruption.h"
#include "vmm/base/log.h"
#include "vmm/host/process_limits.h"
#include "vmm/verbs/revision.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

// The verbs, each in verbs/NAME.cpp.
void add_run(Program& program);
void add_cases(Program& program);
void add_check(Program& program);
void add_export_domain(Program& program);
void add_doctor(Program& program);
void add_bench(Program& program);
void add_compare(Program& program);
void add_ctl(Program& program);
void add_sweep(Program& program);
void add_merge(Program& program);
void add_diff(Program& program);
void add_report(Program& program);
void add_manual(Program& program);

namespace {

// In the order of --help.
constexpr std::array all_verbs = {add_run,    add_cases,   add_check, add_export_domain, add_doctor,
                                  add_bench,  add_compare, add_sweep, add_merge,         add_diff,
                                  add_report, add_ctl,     add_manual};

// 0 and 1 are what a verb returns: all as expected, or not.
enum ExitStatus { bad_usage = 2, host_lacks = 3, guest_died = 4, internal_error = 5 };

// CLI11 would say that a subcommand is required, whatever stands in its place.
[[noreturn]] void refuse_without_verb(const CLI::App& app) {
    std::string problem = app.remaining().empty() ? "no verb" : "'" + app.remaining()[0] + "' is not a verb";
    std::string verbs;
    for (const CLI::App* verb : app.get_subcommands({}))
        if (!verb->get_group().empty()) verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
    throw ConfigError(problem + "; expected one of " + verbs + "\nRun with --help for more information.");
}

int run(int argc, char** argv) {
    Program program;
    program.command.assign(argv, argv + argc);
    program.app.set_version_flag("--version", version_text());
    program.app.require_subcommand(1);
    program.app.footer(
        "Exit status: 0 all as expected, 1 an expectation failed, 2 bad usage or configuration, or\n"
        "results that could not be written, 3 the host lacks something, 4 the guest died, 5 internal error;\n"
        "130 or 143 ended in order after Ctrl-C or TERM.");
    for (auto add : all_verbs) add(program);
    try {
        program.app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const bool is_wrong = error.get_exit_code() != 0;
        if (is_wrong && program.app.get_subcommands().empty()) refuse_without_verb(program.app);
        return program.app.exit(error) == 0 ? 0 : bad_usage;  // --help and --version end here, too
    }
    set_up_log(program.log);
    return program.work();
}

// As if nobody had caught it, for whoever waits for this program.
int end_by(int signal) {
    std::cout.flush();
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return internal_error;
}

// A descriptor that came closed would be the next file that is opened, and what is meant for the user would
// go there. For reading: what is written to it still fails.
void hold_standard_descriptors() {
    int descriptor;
    while ((descriptor = open("/dev/null", O_RDONLY)) >= 0 && descriptor <= STDERR_FILENO) {
    }
    close(descriptor);
}

// The exit status of the whole: `status`, but for results or a log that nobody has got.
int with_output_written(int status) {
    const std::string log_lacks = log_problem();
    if (!log_lacks.empty()) std::cerr << "gpremap: " << log_lacks << '\n';
    const bool is_written = static_cast<bool>(std::cout.flush());
    if (!is_written)
        std::cerr << "gpremap: standard output cannot be written; is the disk full, or its reader gone?\n";
    return is_written && log_lacks.empty() ? status : std::max<int>(status, bad_usage);
}

// What the kernel refuses is no defect of this program where it has run out of something.
int report(const std::string& problem, const std::error_code& error) {
    const auto lack = lack_behind(error);
    std::cerr << "gpremap: " << (lack ? "" : "internal error: ") << problem << (lack ? ": " + *lack : "")
              << '\n';
    return lack ? host_lacks : internal_error;
}

int run_and_report(int argc, char** argv) {
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
        std::cerr << "gpremap: " << error.what() << '\n';
        return guest_died;
    } catch (const Interrupted& error) {
        std::cerr << "gpremap: " << error.what() << '\n';
        return end_by(error.signal);
    } catch (const std::system_error& error) {
        return report(error.what(), error.code());
    } catch (const std::bad_alloc&) {
        return report("out of memory", std::make_error_code(std::errc::not_enough_memory));
    } catch (const std::exception& error) {
        std::cerr << "gpremap: internal error: " << error.what() << '\n';
        return internal_error;
    }
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    using namespace gpremap;
    hold_standard_descriptors();
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of the call that writes to it
    return with_output_written(run_and_report(argc, argv));
}
