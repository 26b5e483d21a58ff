#include "vmm/verbs/options.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/config/parameters.h"
#include "vmm/host/conditions.h"
#include "vmm/sandbox/sandbox.h"
#include "vmm/verbs/revision.h"

namespace gpremap {

void add_json(CLI::App& verb, std::string& json) {
    verb.add_option(
            "--json", json,
            "write the result to this file, too; - is standard output, and the table goes to standard "
            "error then")
        ->type_name("FILE");
}

std::ostream& for_people(const std::string& json, const LogOptions& log) {
    static std::ostream nowhere(nullptr);
    if (json != "-") return std::cout;
    return log.quiet ? nowhere : std::cerr;
}

int descriptor_of(const std::ostream& out) {
    return &out == &std::cerr ? STDERR_FILENO : STDOUT_FILENO;
}

Provenance provenance_of(const Program& program) {
    std::error_code none;  // the folder may be gone: then it has no name
    return {.revision = std::string(revision),
            .command = program.command,
            .folder = std::filesystem::current_path(none),
            .started = std::chrono::system_clock::now(),
            .before = read_conditions(),
            .after = {}};
}

int finish(JsonFile& json, const std::function<std::string(Ended)>& result, const Interruption& interruption,
           int status) {
    const auto signal = interruption.requested();
    if (signal) spdlog::warn("{}: what was left has not been done", strsignal(*signal));
    status = json.write([&] { return result(signal ? Ended::interrupted : Ended::by_itself); }, status);
    return signal ? exit_status_of(*signal) : status;
}

int finish(JsonFile& json, JsonObject result, const Interruption& interruption, int status) {
    auto text = [&](Ended ended) {
        JsonText whole;
        for (const auto& [key, value] : result.items()) whole.add(key, value);
        if (ended == Ended::interrupted) whole.add("interrupted", true);
        return std::move(whole).take();
    };
    return finish(json, text, interruption, status);
}

void add_cause(JsonObject& result, std::exception_ptr cause) {
    try {
        std::rethrow_exception(cause);
    } catch (const GuestDied& death) {
        result["died"] = death.what();
    } catch (const std::exception& error) {
        result["host_error"] = error.what();
    }
}

uint64_t size_in(const std::string& option, const std::string& text) {
    auto size = parse_size(text);
    if (!size) throw ConfigError(option + ": expected " + std::string(size.error()));
    return *size;
}

void add_overrides(CLI::App& verb, Overrides& overrides, const std::string& in_place_of) {
    add_choice<Backing>(verb, "--backing", overrides.backing, backing_names,
                        "what memory is made of, in place of " + in_place_of);
    add_choice<Mechanism>(verb, "--mechanism", overrides.mechanism, mechanism_names,
                          "how it is remapped, in place of " + in_place_of);
    add_choice<uint64_t>(verb, "--granule", overrides.granule, granule_names,
                         "the unit of remapping, in place of " + in_place_of);
}

void add_guest(CLI::App& verb, Overrides& overrides) {
    add_choice<GuestKind>(
        verb, "--guest", overrides.guest, guest_names,
        "what runs in the VM: the agent alone, or a Linux kernel with the agent as a process");
    verb.add_option("--linux-image", overrides.linux_image,
                    "a folder with the kernel and the initramfs of a Linux guest; without it they are made")
        ->type_name("FOLDER");
}

double share_in(const std::string& option, const std::string& text) {
    double share = -1;
    const bool is_percent = text.ends_with('%');
    const char* end = text.data() + text.size() - (is_percent ? 1 : 0);
    const auto [stop, error] = std::from_chars(text.data(), end, share);
    if (is_percent) share /= 100;
    if (error != std::errc() || stop != end || !(share >= 0 && share <= 1))
        throw ConfigError(option + ": expected a share such as 2% or 0.02, got '" + text + "'");
    return share;
}

void add_pool(CLI::App& verb, Overrides& overrides) {
    verb.add_option_function<std::string>(
            "--pool", [&overrides](const std::string& text) { overrides.pool = size_in("--pool", text); },
            "memory kept ready for grows, in place of what the file says")
        ->type_name("SIZE");
}

void add_parameters(CLI::App& verb, Overrides& overrides) {
    verb.add_option_function<std::vector<std::string>>(
            "--set",
            [&overrides](const std::vector<std::string>& all) {
                for (const std::string& text : all) overrides.parameters.push_back(read_setting(text));
            },
            "a value of a parameter, in place of what [parameters] says; may be repeated")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("NAME=VALUE");
}

void add_sandbox(CLI::App& verb, Sandbox& sandbox) {
    verb.add_flag_callback(
        "--no-sandbox", [&sandbox] { sandbox = Sandbox::off; },
        "do not confine the threads of the VM to the system calls that they need");
}

void begin(Sandbox sandbox) {
    if (sandbox == Sandbox::on) return confine_threads();
    spdlog::warn(
        "--no-sandbox: a guest that takes over a thread of gpremap can do on this host all that its user "
        "can, and not "
        "only what that thread needs");
}

void add_reservation(CLI::App& verb, HugePagesWanted& huge_pages) {
    verb.add_option_function<std::string>(
            "--reserve-hugepages",
            [&huge_pages](const std::string& text) {
                const auto wanted = parse_huge_pages(text);
                if (!wanted)
                    throw ConfigError("--reserve-hugepages: expected " + std::string(wanted.error()));
                huge_pages = *wanted;
            },
            "add that many huge pages to the host's pool for the time of this run: N or 2M:N of 2 MiB, 1G:N "
            "of 1 GiB")
        ->type_name("N");
}

}  // namespace gpremap
