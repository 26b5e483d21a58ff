#include "vmm/config/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "vmm/base/errors.h"
#include "vmm/config/config_errors.h"

namespace gpremap {

namespace {

constexpr std::string_view name_hint = "a letter, then letters, digits and _";
// Keys of [sweep] that are no parameters.
constexpr std::string_view reserved[] = {"zip", "exclude"};

bool begins_name(char c) {
    return std::isalpha(static_cast<unsigned char>(c)) || c == '_';
}

bool continues_name(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

bool is_name(std::string_view text) {
    return !text.empty() && begins_name(text[0]) && std::ranges::all_of(text, continues_name);
}

// What is wrong with a parameter's name; empty for a good one.
std::string problem_of_name(std::string_view name) {
    if (std::ranges::find(reserved, name) != std::end(reserved))
        return fmt::format("'{}' is a key of [sweep]; expected another name", name);
    if (!is_name(name)) return fmt::format("'{}' is no name of a parameter; expected {}", name, name_hint);
    return "";
}

// ---- values ----

// Nothing for what is no parameter's value: a table, an array, a date, a number that is not finite.
std::optional<ParameterValue> scalar_in(const TomlValue& value) {
    if (value.is_text()) return value.text();
    if (value.is_boolean()) return value.boolean();
    if (value.is_integer()) return value.integer();
    if (value.is_fraction() && std::isfinite(value.number())) return value.number();
    return std::nullopt;
}

ParameterValue one_value(const TomlValue& value) {
    constexpr std::string_view hint = "a text, a number, true or false";
    const auto scalar = scalar_in(value);
    if (!scalar) value.expected(hint);
    if (const auto* text = std::get_if<std::string>(&*scalar); text && text->find('$') != std::string::npos)
        value.fail("a parameter's value has no $: it uses no other parameter");
    return *scalar;
}

void add(ParameterSetting& setting, const TomlValue& value) {
    const ParameterValue one = one_value(value);
    if (std::ranges::find(setting.values, one) != setting.values.end())
        value.fail(fmt::format("{} is in the list already", setting_of(one)));
    setting.values.push_back(one);
}

// `text` as the value of the key `name` in TOML; nothing where it is none.
std::optional<TomlValue> toml_value(const std::string& name, const std::string& text) {
    try {
        const std::vector<TomlValue> values = TomlFile::parse(name + " = " + text, "--set").root().values();
        if (values.size() == 1) return values[0];
    } catch (const ConfigError&) {
    }
    return std::nullopt;
}

std::string in_quotes(const std::string& text) {
    return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// The elements of "[64MiB, 1GiB]", which is no list of TOML: each is quoted if it has to be.
std::string with_quotes(std::string_view list) {
    std::vector<std::string> elements;
    list = list.substr(1, list.size() - 2);
    while (true) {
        const size_t comma = list.find(',');
        std::string_view element = list.substr(0, comma);
        while (!element.empty() && element.front() == ' ') element.remove_prefix(1);
        while (!element.empty() && element.back() == ' ') element.remove_suffix(1);
        const std::string text(element);
        const auto value = toml_value("element", text);
        elements.push_back(value && scalar_in(*value) ? text : in_quotes(text));
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return fmt::format("[{}]", fmt::join(elements, ", "));
}

}  // namespace

std::string text_of(const ParameterValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return std::visit([](const auto& scalar) { return fmt::format("{}", scalar); }, value);
}

std::string setting_of(const ParameterValue& value) {
    const std::string text = text_of(value);
    if (std::holds_alternative<double>(value))
        return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
    if (!std::holds_alternative<std::string>(value)) return text;
    const bool is_list = text.starts_with('[');
    const auto as_toml = toml_value("value", text);
    return is_list || (as_toml && scalar_in(*as_toml)) ? in_quotes(text) : text;
}

ParameterSetting read_parameter(const TomlValue& value) {
    ParameterSetting setting{
        value.name(), {}, value.is_array(), fmt::format("{}:{}", value.place().file, value.place().line)};
    if (!setting.is_list) {
        add(setting, value);
        return setting;
    }
    for (const TomlValue& element : value.array()) add(setting, element);
    if (setting.values.empty()) value.fail("expected a list of at least one value");
    return setting;
}

ParameterSetting read_setting(const std::string& text) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos)
        throw ConfigError(fmt::format("--set {}: expected NAME=VALUE, as in size=1GiB", text));
    const std::string name = text.substr(0, equals), origin = "--set " + text;
    const std::string value = text.substr(equals + 1);
    if (const std::string problem = problem_of_name(name); !problem.empty())
        throw ConfigError(origin + ": " + problem);
    auto as_toml = toml_value(name, value);
    if (!as_toml && value.starts_with('[') && value.ends_with(']'))
        as_toml = toml_value(name, with_quotes(value));
    if (!as_toml || (!as_toml->is_array() && !scalar_in(*as_toml)))
        as_toml = toml_value(name, in_quotes(value));
    ParameterSetting setting = read_parameter(*as_toml);
    setting.origin = origin;
    return setting;
}

std::vector<ParameterSetting> read_parameters(const TomlTable& root,
                                              const std::vector<ParameterSetting>& set) {
    std::vector<ParameterSetting> parameters;
    ConfigErrors errors;
    if (const auto table = root.find("parameters")) {
        for (const TomlValue& value : table->table().values())
            errors.collect([&] {
                if (const std::string problem = problem_of_name(value.name()); !problem.empty())
                    value.fail(problem);
                parameters.push_back(read_parameter(value));
            });
    }
    errors.throw_if_any();
    for (const ParameterSetting& setting : set) {
        const auto declared = std::ranges::find(parameters, setting.name, &ParameterSetting::name);
        std::vector<std::string> names;
        for (const ParameterSetting& each : parameters) names.push_back(each.name);
        errors.collect([&] {
            if (declared == parameters.end())
                throw ConfigError(fmt::format(
                    "{}: {} has no parameter '{}'; {}", setting.origin, root.place().file, setting.name,
                    names.empty() ? "it has no [parameters]"
                                  : fmt::format("known are {}", fmt::join(names, ", "))));
            *declared = setting;
        });
    }
    errors.throw_if_any();
    return parameters;
}

// ---- what uses them ----

namespace {

class Substitution {
  public:
    explicit Substitution(const std::vector<ParameterSetting>& parameters) : parameters_(parameters) {}

    // What stands in place of the text `value`; nothing if it stays. Throws ConfigError.
    std::optional<TomlReplacement> operator()(const TomlValue& value) {
        const std::string text = value.text();
        if (text.find('$') == std::string::npos) return std::nullopt;
        std::string result, from;
        for (size_t at = 0; at < text.size();) {
            if (text[at] != '$') {
                result += text[at++];
            } else if (text.substr(at).starts_with("$$")) {
                result += '$';
                at += 2;
            } else {
                const auto [name, end] = name_at(value, text, at);
                const ParameterSetting& used = parameter(value, name);
                from += fmt::format("{}parameter {}, {}", from.empty() ? "" : "; ", name, used.origin);
                if (at == 0 && end == text.size()) return TomlReplacement{used.values.front(), from};
                result += text_of(used.values.front());
                at = end;
            }
        }
        return TomlReplacement{result, from};
    }

    bool uses(const std::string& name) const { return used_.contains(name); }

  private:
    // Of the parameter whose $ is at `at`, and where the text goes on.
    static std::pair<std::string, size_t> name_at(const TomlValue& value, const std::string& text,
                                                  size_t at) {
        const bool in_braces = text.substr(at).starts_with("${");
        const size_t begin = at + (in_braces ? 2 : 1);
        size_t end = begin;
        while (end < text.size() && continues_name(text[end])) end++;
        const std::string name = text.substr(begin, end - begin);
        const bool is_closed = !in_braces || (end < text.size() && text[end] == '}');
        if (!is_name(name) || !is_closed)
            value.fail(
                fmt::format("expected a parameter behind $, as in \"$size\" or \"${{size}}\", or $$ "
                            "for a dollar, got \"{}\"",
                            text));
        return {name, in_braces ? end + 1 : end};
    }

    const ParameterSetting& parameter(const TomlValue& value, const std::string& name) {
        used_.insert(name);
        const auto found = std::ranges::find(parameters_, name, &ParameterSetting::name);
        if (found != parameters_.end()) return *found;
        std::string known;
        for (const ParameterSetting& each : parameters_) known += (known.empty() ? "" : ", ") + each.name;
        value.fail(fmt::format("no parameter '{}': expected {}", name,
                               known.empty() ? "it in [parameters]" : "one of " + known));
    }

    const std::vector<ParameterSetting>& parameters_;
    std::set<std::string> used_;
};

}  // namespace

std::vector<ParameterAssignment> substitute_parameters(TomlFile& file,
                                                       const std::vector<ParameterSetting>& set) {
    const std::vector<ParameterSetting> parameters = read_parameters(file.root(), set);
    Substitution substitution(parameters);
    ConfigErrors errors;
    file.replace_texts(parameter_tables, [&](const TomlValue& text) {
        std::optional<TomlReplacement> by;
        errors.collect([&] { by = substitution(text); });
        return by;
    });
    std::vector<ParameterAssignment> values;
    for (const ParameterSetting& parameter : parameters) {
        const TomlValue declared = file.root().at("parameters").table().at(parameter.name);
        errors.collect([&] {
            if (!substitution.uses(parameter.name))
                declared.fail(fmt::format(
                    "nothing uses this parameter; expected \"${}\" somewhere in the file", parameter.name));
            if (parameter.is_list)
                throw ConfigError(
                    fmt::format("{}: parameter {} is a list of {}: run all of it with gpremap sweep, or "
                                "choose one value with "
                                "--set {}={}",
                                parameter.origin, parameter.name, parameter.values.size(), parameter.name,
                                setting_of(parameter.values.front())));
        });
        values.push_back({parameter.name, parameter.values.front()});
    }
    errors.throw_if_any();
    return values;
}

JsonObject json_of(const std::vector<ParameterAssignment>& parameters) {
    JsonObject json = JsonObject::object();
    for (const ParameterAssignment& each : parameters)
        std::visit([&](const auto& value) { json[each.name] = value; }, each.value);
    return json;
}

}  // namespace gpremap
