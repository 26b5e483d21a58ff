#include "vmm/config/combinations.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "vmm/config/config_errors.h"

namespace gpremap {

namespace {

constexpr size_t most_combinations = 100'000;

// Parameters whose values go on together: indices of them. All have as many values.
using Dimension = std::vector<size_t>;

class Combinations {
  public:
    Combinations(const TomlTable& root, const std::vector<ParameterSetting>& set)
        : parameters_(read_parameters(root, set)), set_(set) {
        if (const auto sweep = root.find("sweep")) sweep_ = sweep->table();
    }

    std::vector<Combination> read() {
        if (sweep_) read_lists();
        const std::vector<Dimension> dimensions = read_dimensions();
        size_t count = 1;
        for (const Dimension& dimension : dimensions) {
            count *= values_of(dimension).size();
            if (count > most_combinations)
                throw ConfigError(fmt::format("{}: expected at most {} combinations of parameters",
                                              parameters_.front().origin, most_combinations));
        }
        const std::vector<TomlTable> excluded = read_excluded();
        std::vector<Combination> all;
        for (size_t index = 0; index < count; index++) {
            Combination combination = combination_at(index, dimensions);
            if (std::ranges::none_of(excluded, [&](const TomlTable& each) { return has(combination, each); }))
                all.push_back(std::move(combination));
        }
        return all;
    }

  private:
    bool is_set(const std::string& name) const {
        return std::ranges::find(set_, name, &ParameterSetting::name) != set_.end();
    }

    const std::vector<ParameterValue>& values_of(const Dimension& dimension) const {
        return parameters_[dimension.front()].values;
    }

    // The index of the parameter `name`, which stands at `place`.
    size_t parameter(const TomlValue& place, const std::string& name) const {
        const auto found = std::ranges::find(parameters_, name, &ParameterSetting::name);
        if (found != parameters_.end()) return static_cast<size_t>(found - parameters_.begin());
        std::string known;
        for (const ParameterSetting& each : parameters_) known += (known.empty() ? "" : ", ") + each.name;
        place.fail(fmt::format("no parameter '{}'; expected {}", name,
                               known.empty() ? "it in [parameters]" : "one of " + known));
    }

    // [sweep] in place of what [parameters] says.
    void read_lists() {
        ConfigErrors errors;
        for (const TomlValue& value : sweep_->values()) {
            if (value.name() == "zip" || value.name() == "exclude") continue;
            errors.collect([&] {
                ParameterSetting& declared = parameters_[parameter(value, value.name())];
                ParameterSetting setting = read_parameter(value);
                if (is_set(value.name())) return;
                if (declared.is_list)
                    value.fail(fmt::format("it is a list in [parameters], too ({}); expected one of the two",
                                           declared.origin));
                declared = std::move(setting);
            });
        }
        errors.throw_if_any();
    }

    // Names of parameters that go on together, as stated; nothing for all of them.
    std::optional<std::vector<TomlValue>> read_zip(const TomlValue& zip) const {
        if (zip.is_boolean()) {
            if (!zip.boolean()) return std::vector<TomlValue>();
            return std::nullopt;
        }
        if (!zip.is_array()) zip.expected("true, or a list of parameters");
        return zip.array();
    }

    // The lists that go on together. What is set to one value stays.
    Dimension read_together() const {
        Dimension together;
        const auto zip = sweep_ ? sweep_->find("zip") : std::nullopt;
        if (!zip) return together;
        const auto names = read_zip(*zip);
        for (size_t i = 0; !names && i < parameters_.size(); i++)
            if (parameters_[i].is_list) together.push_back(i);
        for (const TomlValue& name : names.value_or(std::vector<TomlValue>())) {
            const size_t index = parameter(name, name.text());
            if (!parameters_[index].is_list && !is_set(name.text()))
                name.fail("expected a parameter that is a list");
            if (parameters_[index].is_list) together.push_back(index);
        }
        for (const size_t index : together)
            if (parameters_[index].values.size() != values_of(together).size())
                zip->fail(fmt::format("expected lists of one length, got {} of {} and {} of {}",
                                      parameters_[together[0]].name, values_of(together).size(),
                                      parameters_[index].name, parameters_[index].values.size()));
        return together;
    }

    std::vector<Dimension> read_dimensions() const {
        const Dimension together = read_together();
        std::vector<Dimension> dimensions;
        for (size_t i = 0; i < parameters_.size(); i++) {
            if (std::ranges::find(together, i) == together.end())
                dimensions.push_back({i});
            else if (i == *std::ranges::min_element(together))
                dimensions.push_back(together);
        }
        return dimensions;
    }

    std::vector<TomlTable> read_excluded() const {
        const auto exclude = sweep_ ? sweep_->find("exclude") : std::nullopt;
        if (!exclude) return {};
        std::vector<TomlTable> tables = exclude->tables();
        for (const TomlTable& table : tables) {
            if (table.values().empty())
                table.fail("expected values of parameters, such as { size = \"1GiB\" }");
            for (const TomlValue& value : table.values()) {
                const ParameterSetting& swept = parameters_[parameter(value, value.name())];
                for (const ParameterValue& each : read_parameter(value).values)
                    if (!is_set(swept.name) && std::ranges::find(swept.values, each) == swept.values.end())
                        value.fail(fmt::format("{} is no value of '{}' ({})", setting_of(each), swept.name,
                                               swept.origin));
            }
        }
        return tables;
    }

    Combination combination_at(size_t index, const std::vector<Dimension>& dimensions) const {
        Combination combination;
        for (const ParameterSetting& parameter : parameters_)
            combination.push_back({parameter.name, parameter.values.front()});
        for (auto dimension = dimensions.rbegin(); dimension != dimensions.rend(); ++dimension) {
            const size_t at = index % values_of(*dimension).size();
            index /= values_of(*dimension).size();
            for (const size_t i : *dimension) combination[i].value = parameters_[i].values[at];
        }
        return combination;
    }

    // Whether `combination` has a value of each key of `excluded`.
    static bool has(const Combination& combination, const TomlTable& excluded) {
        return std::ranges::all_of(excluded.values(), [&](const TomlValue& value) {
            const auto named = std::ranges::find(combination, value.name(), &ParameterAssignment::name);
            const std::vector<ParameterValue> values = read_parameter(value).values;
            return std::ranges::find(values, named->value) != values.end();
        });
    }

    std::vector<ParameterSetting> parameters_;
    const std::vector<ParameterSetting>& set_;
    std::optional<TomlTable> sweep_;
};

}  // namespace

std::vector<Combination> read_combinations(const TomlTable& root, const std::vector<ParameterSetting>& set) {
    return Combinations(root, set).read();
}

}  // namespace gpremap
