// Options that several verbs have.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "vmm/config/machine_config.h"

namespace gpremap {

// --json
void add_json(CLI::App& verb, std::string& json);

// The value of `option`, in bytes. Throws ConfigError.
uint64_t size_in(const std::string& option, const std::string& text);

// --backing, --mechanism, --granule: what stands in place of a file's [vm], or of a verb's own choice: the
// help says of which.
void add_overrides(CLI::App& verb, Overrides& overrides, const std::string& in_place_of);

// --reserve-hugepages
void add_reservation(CLI::App& verb, uint64_t& huge_pages);

// An option whose texts stand for values; any other text is a usage error.
template <typename T>
void add_choice(CLI::App& verb, const std::string& name, std::optional<T>& chosen,
                std::span<const std::pair<std::string_view, T>> names, const std::string& does) {
    std::map<std::string, T> choices(names.begin(), names.end());
    verb.add_option_function<std::string>(
            name, [&chosen, choices](const std::string& text) { chosen = choices.at(text); }, does)
        ->check(CLI::IsMember(choices))
        ->type_name("");
}

}  // namespace gpremap
