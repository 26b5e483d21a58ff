// `gpremap cases FILE...`: runs case files and says which cases fail, with both pictures.
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <spdlog/spdlog.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "vmm/base/interruption.h"
#include "vmm/base/json_file.h"
#include "vmm/base/progress.h"
#include "vmm/cases/runner.h"
#include "vmm/config/config_errors.h"
#include "vmm/config/linux_section.h"
#include "vmm/config/vm_section.h"
#include "vmm/guests/linux/linux_image.h"
#include "vmm/host/conditions.h"
#include "vmm/host/process_limits.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/scenario/reading.h"
#include "vmm/verbs/huge_page_reservation.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

enum class CasesOn { vm, model, host };

struct CasesOptions {
    std::vector<std::string> files;
    CasesOn on = CasesOn::vm;
    std::string json;  // where the result goes, too; empty: nowhere
    // The granule is for the cases that state none; mechanism and backing are a VM's.
    Overrides overrides;
    HugePagesWanted huge_pages;  // that the host's pool has more for the time of the run
    Sandbox sandbox = Sandbox::on;
    ShowProgress progress = ShowProgress::yes;
};

using Status = CaseOutcome::Status;
using RunOne = std::function<CaseOutcome(const Case&)>;

struct CaseFile {
    std::string path;
    std::vector<Case> cases;
};

struct Counts {
    size_t passed = 0;
    size_t failed = 0;
    size_t skipped = 0;

    void add(Status status) {
        ++(status == Status::passed ? passed : status == Status::failed ? failed : skipped);
    }
    std::string text() const {
        return fmt::format("{} passed, {} failed, {} skipped", passed, failed, skipped);
    }
};

std::vector<CaseFile> read_files(const CasesOptions& options) {
    std::vector<CaseFile> files;
    ConfigErrors errors;
    for (const std::string& path : options.files)
        errors.collect([&] { files.push_back({path, read_case_file(path)}); });
    errors.throw_if_any();
    for (CaseFile& file : files)
        for (Case& c : file.cases)
            if (!c.granule_stated) c.granule = options.overrides.granule.value_or(c.granule);
    return files;
}

std::string_view name_of(CasesOn on) {
    switch (on) {
        case CasesOn::vm:
            return "vm";
        case CasesOn::model:
            return "model";
        default:
            return "host";
    }
}

RunOne runner_for(const CasesOptions& options, const MachineConfig& machine) {
    if (options.on == CasesOn::vm) {
        const auto vm = std::make_shared<VmCases>(machine);
        return [vm](const Case& c) { return vm->run(c); };
    }
    if (options.overrides.mechanism || options.overrides.backing)
        spdlog::warn("--mechanism and --backing are those of a VM, and say nothing --on {}",
                     name_of(options.on));
    if (options.on == CasesOn::model) return run_case_on_model;
    return run_case_on_host;
}

JsonObject json_of(const Case& c, const CaseOutcome& outcome) {
    JsonObject json = {{"file", c.file}, {"name", c.name}, {"ok", outcome.status == Status::passed}};
    if (outcome.status == Status::skipped) json["ok"] = nullptr;
    json["expected"] = outcome.expected;
    json["actual"] = outcome.actual;
    json["detail"] = outcome.detail;
    return json;
}

class CasesRun {
  public:
    CasesRun(const CasesOptions& options, Provenance provenance, std::ostream& out)
        : options_(options),
          provenance_(std::move(provenance)),
          out_(out),
          files_(read_files(options)),
          json_(options.json),
          progress_(count_cases(), options.progress) {}

    int run() {
        const HugePageReservation reservation(options_.huge_pages);
        MachineConfig machine;
        override_vm(options_.overrides, machine.memory);
        override_guest(options_.overrides, machine);
        const LinuxImage image(machine);  // by another program, so before this one is confined
        if (options_.on == CasesOn::vm) begin(options_.sandbox);
        const Interruption interruption;  // after the reservation, which forks
        if (options_.on == CasesOn::vm) confine_this_thread(ThreadKind::maker);
        try {
            if (options_.on == CasesOn::vm) require_limits(MemoryConfig().aperture_size);
            const RunOne run_one = runner_for(options_, machine);
            for (const CaseFile& file : files_)
                if (!interruption.requested()) run_file(file, run_one, interruption);
        } catch (...) {
            progress_.clear();
            write_json(interruption, std::current_exception());  // what ran until then
            throw;
        }
        progress_.clear();
        if (files_.size() > 1) fmt::print(out_, "{} files: {}\n", files_.size(), all_.text());
        return write_json(interruption, nullptr);
    }

  private:
    size_t count_cases() const {
        size_t count = 0;
        for (const CaseFile& file : files_) count += file.cases.size();
        return count;
    }

    void run_file(const CaseFile& file, const RunOne& run_one, const Interruption& interruption) {
        Counts counts;
        for (const Case& c : file.cases) {
            if (interruption.requested()) break;
            progress_.show(c.name);
            const CaseOutcome outcome = run_one(c);
            progress_.advance();
            counts.add(outcome.status);
            all_.add(outcome.status);
            results_.push_back(json_of(c, outcome));
            print(c, outcome);
        }
        fmt::print(out_, "{}: {}\n", file.path, counts.text());
        out_.flush();
    }

    void print(const Case& c, const CaseOutcome& outcome) {
        if (outcome.status == Status::skipped)
            spdlog::info("{}: {}: skipped: {}", c.file, c.name, outcome.detail);
        if (outcome.status == Status::passed) spdlog::debug("{}: {}: passed", c.file, c.name);
        if (outcome.status != Status::failed) return;
        fmt::print(out_, "FAIL {}: {}\n     expected  {}\n     actual    {}\n     {}\n", c.file, c.name,
                   outcome.expected, outcome.actual, outcome.detail);
    }

    int write_json(const Interruption& interruption, std::exception_ptr cause) {
        provenance_.after = read_conditions();
        JsonObject result{{"schema", "gpremap.cases/1"},
                          {"provenance", gpremap::json_of(provenance_)},
                          {"on", name_of(options_.on)},
                          {"passed", all_.passed},
                          {"failed", all_.failed},
                          {"skipped", all_.skipped},
                          {"cases", results_}};
        if (cause) add_cause(result, cause);
        return finish(json_, std::move(result), interruption, all_.failed == 0 ? 0 : 1);
    }

    const CasesOptions& options_;
    Provenance provenance_;
    std::ostream& out_;
    std::vector<CaseFile> files_;
    JsonFile json_;
    Progress progress_;
    Counts all_;
    JsonObject results_ = JsonObject::array();
};

// Reads all files, then runs all cases and writes what came of them to `out`. Returns the exit status: 0
// where none failed, 1 otherwise. Throws ConfigError, before anything runs, for what is wrong with any of
// the files, and HostLacks or GuestDied as a Machine does.
int run_cases(const CasesOptions& options, const Program& program, std::ostream& out) {
    return CasesRun(options, provenance_of(program), out).run();
}

}  // namespace

void add_cases(Program& program) {
    CLI::App& verb =
        program.add_verb("cases", "run case files, on a VM, on the pure library or on this host");
    auto options = std::make_shared<CasesOptions>();
    verb.add_option("FILE", options->files,
                    "case files, such as tests/cases/linux-grow.toml; - is standard input")
        ->required();
    const std::map<std::string, CasesOn> places = {
        {"vm", CasesOn::vm}, {"model", CasesOn::model}, {"host", CasesOn::host}};
    verb.add_option_function<std::string>(
            "--on", [options, places](const std::string& text) { options->on = places.at(text); },
            "where: a VM (as without it), the library alone, or this machine's own mremap")
        ->check(CLI::IsMember(places))
        ->type_name("");
    add_json(verb, options->json);
    add_reservation(verb, options->huge_pages);
    add_sandbox(verb, options->sandbox);
    add_overrides(verb, options->overrides, "what the file says");
    add_guest(verb, options->overrides);
    verb.callback([&program, options] {
        program.work = [&program, options] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            return run_cases(*options, program, for_people(options->json, program.log));
        };
    });
}

}  // namespace gpremap
