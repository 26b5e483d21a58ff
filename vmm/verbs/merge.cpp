// `gpremap merge`: results of many runs as one file; which runs of a sweep are not there.
#include "vmm/results/merge.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <iosfwd>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"
#include "vmm/sweep/plan.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct MergeOptions {
    std::vector<std::string> files;
    std::string json;
    std::string scenario;  // whose sweep is to be complete; empty: none
    Overrides overrides;
};

// Prints the combinations that no run has. Returns how many.
size_t print_missing(const MergeOptions& options, const std::vector<MeasuredRun>& runs, std::ostream& out) {
    size_t missing = 0;
    for (const Combination& combination : combinations_of(options.scenario, options.overrides.parameters)) {
        const nlohmann::json parameters = json_of(combination);
        const bool is_there = std::ranges::any_of(
            runs, [&](const MeasuredRun& run) { return nlohmann::json(run.parameters) == parameters; });
        if (is_there) continue;
        fmt::print(out, "missing: {}\n", described(combination));
        missing++;
    }
    return missing;
}

// Returns 0; 1 where a combination is missing. Throws ConfigError.
int merge(const MergeOptions& options, std::ostream& out) {
    if (options.json.empty() && options.scenario.empty())
        throw ConfigError("expected -o FILE for what is joined, or --missing SCENARIO");
    JsonFile json(options.json);
    const std::vector<MeasuredRun> runs = read_all_runs(options.files);
    const size_t missing = options.scenario.empty() ? 0 : print_missing(options, runs, out);
    fmt::print(out, "{} run{}\n", runs.size(), runs.size() == 1 ? "" : "s");
    return json.write(merged(runs), missing == 0 ? 0 : 1);
}

}  // namespace

void add_merge(Program& program) {
    CLI::App& verb = program.add_verb("merge", "join results of run; say which of a sweep are missing");
    auto options = std::make_shared<MergeOptions>();
    verb.add_option("RESULT", options->files, "results of `run --json`, or of `merge`, in any order")
        ->required();
    verb.add_option("-o,--json", options->json, "where the joined result goes; - is standard output")
        ->type_name("FILE");
    verb.add_option("--missing", options->scenario, "say which combinations of its sweep no result is of")
        ->type_name("SCENARIO");
    add_parameters(verb, options->overrides);
    verb.callback([&program, options] {
        program.work = [&program, options] {
            return merge(*options, for_people(options->json, program.log));
        };
    });
}

}  // namespace gpremap
