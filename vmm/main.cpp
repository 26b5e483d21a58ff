// The program: its verbs and their options. One function registers each verb; what a verb does is in a
// file of its own.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/bench_verb.h"
#include "vmm/cases_verb.h"
#include "vmm/check.h"
#include "vmm/compare/compare_verb.h"
#include "vmm/compare/interruption.h"
#include "vmm/doctor.h"
#include "vmm/errors.h"
#include "vmm/export_verb.h"
#include "vmm/log.h"
#include "vmm/run.h"
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

uint64_t size_in(const std::string& option, const std::string& text) {
    auto size = parse_size(text);
    if (!size) throw ConfigError(option + ": expected " + std::string(size.error()));
    return *size;
}

// An option whose texts stand for values; any other text is a usage error.
template <typename T>
void add_choice(CLI::App& verb, const std::string& name, std::optional<T>& chosen,
                const std::map<std::string, T>& choices, const std::string& does) {
    verb.add_option_function<std::string>(
            name, [&chosen, choices](const std::string& text) { chosen = choices.at(text); }, does)
        ->check(CLI::IsMember(choices))
        ->type_name("");
}

// What stands in place of a file's [vm], or of a verb's own choice: the help says of which.
void add_overrides(CLI::App& verb, Overrides& overrides, const std::string& in_place_of) {
    add_choice<Backing>(verb, "--backing", overrides.backing,
                        {{"auto", Backing::automatic},
                         {"anon", Backing::anon},
                         {"memfd", Backing::memfd},
                         {"hugetlb-2M", Backing::hugetlb_2m}},
                        "what memory is made of, in place of " + in_place_of);
    add_choice<Mechanism>(
        verb, "--mechanism", overrides.mechanism,
        {{"auto", Mechanism::automatic}, {"window", Mechanism::window}, {"memslot", Mechanism::memslot}},
        "how it is remapped, in place of " + in_place_of);
    add_choice<uint64_t>(verb, "--granule", overrides.granule, {{"4KiB", 4096}, {"2MiB", 2ull << 20}},
                         "the unit of remapping, in place of " + in_place_of);
}

void add_reservation(CLI::App& verb, uint64_t& huge_pages) {
    verb.add_option("--reserve-hugepages", huge_pages,
                    "add that many huge pages of 2 MiB to the host's pool for the time of this run")
        ->check(CLI::NonNegativeNumber)
        ->type_name("N");
}

void add_run(Program& program) {
    CLI::App& verb =
        program.add_verb("run", "boot a VM, have its guest do the steps of a scenario, and report");
    auto options = std::make_shared<RunOptions>();
    verb.add_option("SCENARIO", options->file,
                    "a TOML file, such as configs/quickstart.toml, or a libvirt domain")
        ->required();
    add_json(verb, options->json);
    add_reservation(verb, options->huge_pages);
    add_overrides(verb, options->overrides, "what the file says");
    verb.add_option_function<std::string>(
            "--pool",
            [options](const std::string& text) { options->overrides.pool = size_in("--pool", text); },
            "memory kept ready for grows, in place of what the file says")
        ->type_name("SIZE");
    // The format may be left out, so it takes an equals sign: what follows a space is the scenario.
    const std::map<std::string, TableFormat> formats = {{"ept", TableFormat::ept}, {"arm", TableFormat::arm}};
    auto format = std::make_shared<std::string>();
    verb.add_flag("--dump-stage2{ept}", *format,
                  "afterwards, print the second-stage table, as ept or arm entries, and what KVM says of it")
        ->check(CLI::IsMember(formats));
    verb.callback([&program, options, format, formats] {
        if (!format->empty()) options->dump_stage2 = formats.at(*format);
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_scenario(*options, std::cout);
        };
    });
}

void add_cases(Program& program) {
    CLI::App& verb =
        program.add_verb("cases", "run case files, on a VM, on the pure library or on this host");
    auto options = std::make_shared<CasesOptions>();
    verb.add_option("FILE", options->files, "case files, such as tests/cases/linux-grow.toml")->required();
    const std::map<std::string, CasesOn> places = {
        {"vm", CasesOn::vm}, {"model", CasesOn::model}, {"host", CasesOn::host}};
    verb.add_option_function<std::string>(
            "--on", [options, places](const std::string& text) { options->on = places.at(text); },
            "where: a VM (as without it), the library alone, or this machine's own mremap")
        ->check(CLI::IsMember(places))
        ->type_name("");
    add_json(verb, options->json);
    add_reservation(verb, options->huge_pages);
    add_overrides(verb, options->overrides, "what the file says");
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_cases(*options, std::cout);
        };
    });
}

void add_check(Program& program) {
    CLI::App& verb = program.add_verb(
        "check", "parse and validate scenarios, case files and libvirt domains; run nothing");
    auto files = std::make_shared<std::vector<std::string>>();
    verb.add_option("FILE", *files, "scenarios, case files and domains")->required();
    verb.callback([&program, files] { program.work = [files] { return run_check(*files, std::cout); }; });
}

void add_export_domain(Program& program) {
    CLI::App& verb =
        program.add_verb("export-domain", "write a scenario's VM as a QEMU guest: a libvirt domain");
    auto options = std::make_shared<ExportOptions>();
    verb.add_option("SCENARIO", options->scenario, "a TOML file")->required();
    verb.add_option("-o,--output", options->file, "where to; standard output without it")->type_name("FILE");
    verb.callback(
        [&program, options] { program.work = [options] { return export_domain(*options, std::cout); }; });
}

void add_doctor(Program& program) {
    CLI::App& verb = program.add_verb("doctor", "say what this host can do, with the reason and the mend");
    auto options = std::make_shared<DoctorOptions>();
    add_json(verb, options->json);
    verb.callback(
        [&program, options] { program.work = [options] { return run_doctor(*options, std::cout); }; });
}

void add_bench(Program& program) {
    CLI::App& verb =
        program.add_verb("bench", "measure calls, each beside what it replaces, in the same run");
    auto options = std::make_shared<BenchOptions>();
    verb.add_option("NAME", options->names, "the benches, such as move; all of them without it");
    verb.add_option("--runs", options->runs, "how often each is measured (9)")->type_name("N");
    verb.add_option_function<std::string>(
            "--max-size",
            [options](const std::string& text) { options->max_size = size_in("--max-size", text); },
            "the largest size that is measured; without it, what fits this host, up to 4GiB")
        ->type_name("SIZE");
    add_json(verb, options->json);
    add_reservation(verb, options->huge_pages);
    add_overrides(verb, options->overrides, "each that fits");
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_bench(*options, std::cout);
        };
    });
}

void add_accelerate(CLI::App& verb, CompareOptions& options) {
    using Accelerate = CompareOptions::Accelerate;
    add_choice<Accelerate>(
        verb, "--accelerate", options.accelerate,
        {{"auto", Accelerate::automatic}, {"kvm", Accelerate::kvm}, {"emulation", Accelerate::emulation}},
        "how QEMU runs its guest: auto takes KVM where that boots it");
}

void add_compare(Program& program) {
    CLI::App& verb = program.add_verb(
        "compare", "resize here and in a QEMU guest that libvirt drives, by the same schedule");
    auto options = std::make_shared<CompareOptions>();
    verb.add_option("SCENARIO", options->file, "a TOML file whose steps resize a range")->required();
    const std::map<std::string, Way> ways = {
        {"balloon", Way::balloon}, {"virtio-mem", Way::virtio_mem}, {"dimm", Way::dimm}};
    verb.add_option_function<std::vector<std::string>>(
            "--with",
            [options, ways](const std::vector<std::string>& names) {
                options->ways.clear();
                for (const std::string& name : names) options->ways.push_back(ways.at(name));
            },
            "ways to resize the QEMU guest: balloon,virtio-mem,dimm (the first two)")
        ->delimiter(',')
        ->check(CLI::IsMember(ways))
        ->type_name("");
    verb.add_option("--range", options->range,
                    "the range whose resizes count, where the scenario resizes several")
        ->type_name("NAME");
    verb.add_option("--repeat", options->repeat, "how often all of it is done, in fresh guests (5)")
        ->type_name("N");
    verb.add_option("--deadline", options->deadline, "for each answer of the guest (300)")
        ->type_name("SECONDS");
    verb.add_option("--connect", options->connect,
                    "libvirt's daemon, such as qemu:///system; without it, its driver runs in this program")
        ->type_name("URI");
    add_accelerate(verb, *options);
    add_choice<bool>(verb, "--init-on-alloc", options->init_on_alloc, {{"on", true}, {"off", false}},
                     "whether the guest's Linux zeroes pages that it hands out (on)");
    verb.add_option("--memhp-default-state", options->memhp_default_state,
                    "what the guest's Linux makes of new memory (online_movable)")
        ->check(CLI::IsMember({"online", "online_kernel", "online_movable"}))
        ->type_name("STATE");
    add_json(verb, options->json);
    add_overrides(verb, options->overrides, "what the file says");
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_compare(*options, std::cout);
        };
    });
}

// CLI11 would say that a subcommand is required, whatever stands in its place.
[[noreturn]] void refuse_without_verb(const CLI::App& app) {
    std::string problem = app.remaining().empty() ? "no verb" : "'" + app.remaining()[0] + "' is not a verb";
    std::string verbs;
    for (const CLI::App* verb : app.get_subcommands({}))
        verbs += (verbs.empty() ? "" : ", ") + verb->get_name();
    throw ConfigError(problem + "; expected one of " + verbs + "\nRun with --help for more information.");
}

int run(int argc, char** argv) {
    Program program;
    program.app.set_version_flag("--version", "gpremap " GPREMAP_VERSION);
    program.app.require_subcommand(1);
    program.app.footer(
        "Exit status: 0 all as expected, 1 an expectation failed, 2 bad usage or configuration, or\n"
        "results that could not be written, 3 the host lacks something, 4 the guest died, 5 internal error.");
    add_run(program);
    add_cases(program);
    add_check(program);
    add_export_domain(program);
    add_doctor(program);
    add_bench(program);
    add_compare(program);
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

// The exit status of the whole: `status`, but for results that nobody has got.
int with_output_written(int status) {
    if (std::cout.flush()) return status;
    std::cerr << "gpremap: standard output cannot be written; is the disk full, or its reader gone?\n";
    return std::max<int>(status, bad_usage);
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
    return with_output_written(run_and_report(argc, argv));
}
