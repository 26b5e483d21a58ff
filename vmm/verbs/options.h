// Options that several verbs have.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "vmm/base/interruption.h"
#include "vmm/base/json_file.h"
#include "vmm/base/log.h"
#include "vmm/config/machine_config.h"
#include "vmm/report/json.h"
#include "vmm/report/provenance.h"
#include "vmm/verbs/huge_page_reservation.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

// --json
void add_json(CLI::App& verb, std::string& json);

// Where what is for people goes: standard output, or, where `json` is "-" and has that, standard error, and
// nowhere where that is to be quiet.
std::ostream& for_people(const std::string& json, const LogOptions& log);
// What it can show, where it is one of for_people().
int descriptor_of(const std::ostream& out);

// Of a result whose making begins now. Its `after` is for the end.
Provenance provenance_of(const Program& program);

// The end of a verb that an interruption may have ended early: writes `result`, which then says so. Returns the
// exit status: `status`, what the file makes of it, or that of the interruption.
int finish(JsonFile& json, const std::function<std::string(Ended)>& result, const Interruption& interruption,
           int status);
int finish(JsonFile& json, JsonObject result, const Interruption& interruption, int status);

// Adds to the result of what `cause` ends early: `died`, the guest's last words, or `host_error`, what the host refused.
void add_cause(JsonObject& result, std::exception_ptr cause);

// The value of `option`, in bytes. Throws ConfigError.
uint64_t size_in(const std::string& option, const std::string& text);

// --backing, --mechanism, --granule: what stands in place of a file's [vm], or of a verb's own choice: the
// help says of which.
void add_overrides(CLI::App& verb, Overrides& overrides, const std::string& in_place_of);

// --guest and --linux-image.
void add_guest(CLI::App& verb, Overrides& overrides);

// The value of `option`: "5%" and "0.05" are the same. From 0 to 1. Throws ConfigError.
double share_in(const std::string& option, const std::string& text);

// --pool
void add_pool(CLI::App& verb, Overrides& overrides);

// --set, of a verb that reads a scenario.
void add_parameters(CLI::App& verb, Overrides& overrides);

// --no-sandbox, of a verb that makes a VM.
enum class Sandbox { on, off };
void add_sandbox(CLI::App& verb, Sandbox& sandbox);
// Before there are threads. Throws HostLacks where the kernel cannot confine them.
void begin(Sandbox sandbox);

// --reserve-hugepages
void add_reservation(CLI::App& verb, HugePagesWanted& huge_pages);

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
