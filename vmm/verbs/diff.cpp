// `gpremap diff BASE NEW`: what has become faster or slower.
#include <iosfwd>
#include <memory>
#include <string>

#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"
#include "vmm/results/comparison.h"
#include "vmm/results/comparison_table.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct DiffOptions {
    std::string base;
    std::string fresh;
    std::string json;
    JudgementOptions judgement;
};

// Results of benches are compared with each other, and so are runs.
std::vector<MeasuredRun> read(const std::string& path) {
    constexpr std::string_view schemas[] = {run_schema, merge_schema, bench_schema};
    return read_runs(path, schemas);
}

// Returns 0; 1 where something has become slower. Throws ConfigError.
int diff(const DiffOptions& options, std::ostream& out) {
    if (options.judgement.effect <= 0) throw ConfigError("--effect: expected more than 0");
    if (options.judgement.alpha <= 0) throw ConfigError("--alpha: expected more than 0");
    JsonFile json(options.json);
    const ResultComparison comparison = compare(read(options.base), read(options.fresh), options.judgement);
    warn_of_other_hosts(comparison);
    print(comparison, options.judgement, out);
    return json.write(json_of(comparison, options.judgement), comparison.has_slower() ? 1 : 0);
}

}  // namespace

void add_diff(Program& program) {
    CLI::App& verb = program.add_verb("diff", "compare two results: what is faster, slower, or neither");
    auto options = std::make_shared<DiffOptions>();
    verb.add_option("BASE", options->base, "a result of run, merge or bench")->required();
    verb.add_option("NEW", options->fresh, "one of the same kind, to be compared with it")->required();
    verb.add_option_function<std::string>(
            "--effect",
            [options](const std::string& text) { options->judgement.effect = share_in("--effect", text); },
            "the least difference of medians that counts (5%)")
        ->type_name("SHARE");
    verb.add_option_function<std::string>(
            "--alpha",
            [options](const std::string& text) { options->judgement.alpha = share_in("--alpha", text); },
            "how probable a difference by chance may be, of all metrics together (1%)")
        ->type_name("SHARE");
    verb.add_option("--seed", options->judgement.seed, "of the tests; the same gives the same answer (1)")
        ->type_name("N");
    add_json(verb, options->json);
    verb.callback([&program, options] {
        program.work = [&program, options] { return diff(*options, for_people(options->json, program.log)); };
    });
}

}  // namespace gpremap
