#include "vmm/sweep/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>

#include "vmm/base/errors.h"
#include "vmm/base/text_file.h"
#include "vmm/scenario/reading.h"

namespace gpremap {

namespace {

// FNV-1a of 64 bits: the same everywhere and for ever, as names of files have to be.
uint64_t hash_of(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

std::vector<ParameterSetting> settings_of(const Combination& combination) {
    std::vector<ParameterSetting> settings;
    for (const ParameterAssignment& each : combination)
        settings.push_back(
            {each.name, {each.value}, false, fmt::format("--set {}={}", each.name, setting_of(each.value))});
    return settings;
}

std::vector<std::string> options_of(const Overrides& overrides) {
    std::vector<std::string> options;
    auto add = [&](const char* name, auto value) {
        options.push_back(name);
        options.push_back(fmt::format("{}", value));
    };
    if (overrides.backing) add("--backing", name_of(*overrides.backing));
    if (overrides.mechanism) add("--mechanism", name_of(*overrides.mechanism));
    if (overrides.granule) add("--granule", name_of_granule(*overrides.granule));
    if (overrides.pool) add("--pool", *overrides.pool);
    return options;
}

std::vector<Combination> combinations_in(const std::string& text, const std::string& file,
                                         const std::vector<ParameterSetting>& set) {
    return read_combinations(scenario_toml(text, file).root(), set);
}

// All of what is wrong with the first that is wrong: the others would mostly say it again.
void check(const SweepPlan& plan, const Overrides& overrides) {
    for (const Combination& combination : plan.combinations) {
        Overrides own = overrides;
        own.parameters = settings_of(combination);
        try {
            parse_scenario(plan.text, plan.file, own);
        } catch (const ConfigError& error) {
            throw ConfigError(fmt::format("with {}:\n{}", described(combination), error.what()));
        }
    }
}

bool is_plain(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_-+=:,./@%").find(c) != std::string::npos;
}

std::string shell_word(const std::string& word) {
    if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    return quoted + "'";
}

}  // namespace

std::string SweepPlan::result(size_t combination, unsigned repetition) const {
    const JsonObject decides = {text, options, json_of(combinations.at(combination))};
    const std::string all = decides.dump(-1, ' ', false, JsonObject::error_handler_t::replace);
    return fmt::format("{}/{:016x}-{}.json", folder, hash_of(all), repetition);
}

std::vector<std::string> SweepPlan::command(size_t combination, const std::string& result) const {
    std::vector<std::string> words{program, "run", file, "-q"};
    words.insert(words.end(), options.begin(), options.end());
    for (const ParameterAssignment& each : combinations.at(combination)) {
        words.push_back("--set");
        words.push_back(fmt::format("{}={}", each.name, setting_of(each.value)));
    }
    if (!result.empty()) words.insert(words.end(), {"--json", result});
    return words;
}

SweepPlan read_sweep(const std::string& file, const Overrides& overrides, const std::string& program,
                     const std::string& folder) {
    if (file == "-") throw ConfigError("a sweep reads its scenario many times: expected a file, got -");
    SweepPlan plan{program,
                   std::filesystem::absolute(file).lexically_normal(),
                   read_text(file),
                   std::filesystem::absolute(folder).lexically_normal(),
                   options_of(overrides),
                   {}};
    plan.combinations = combinations_in(plan.text, file, overrides.parameters);
    if (plan.combinations.empty())
        throw ConfigError(file + ": [sweep] excludes every combination; expected one to be left");
    check(plan, overrides);
    return plan;
}

std::vector<Combination> combinations_of(const std::string& file, const std::vector<ParameterSetting>& set) {
    return combinations_in(read_text(file), file, set);
}

std::string described(const Combination& combination) {
    std::string text;
    for (const ParameterAssignment& each : combination)
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", each.name, setting_of(each.value));
    return text.empty() ? "no parameters" : text;
}

std::string shell_line(const std::vector<std::string>& command) {
    std::string line;
    for (const std::string& word : command) line += (line.empty() ? "" : " ") + shell_word(word);
    return line;
}

}  // namespace gpremap
