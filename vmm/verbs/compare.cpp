// `gpremap compare`: the options of what vmm/compare does.
#include "vmm/compare/compare.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

using Accelerate = CompareOptions::Accelerate;

constexpr std::pair<std::string_view, Accelerate> accelerate_names[] = {
    {"auto", Accelerate::automatic}, {"kvm", Accelerate::kvm}, {"emulation", Accelerate::emulation}};
constexpr std::pair<std::string_view, bool> switch_names[] = {{"on", true}, {"off", false}};

}  // namespace

void add_compare(Program& program) {
    CLI::App& verb = program.add_verb(
        "compare",
        "resize here and in Linux guests, ours and that of a QEMU that libvirt drives, by the same schedule");
    auto options = std::make_shared<CompareOptions>();
    auto sandbox = std::make_shared<Sandbox>(Sandbox::on);
    verb.add_option("SCENARIO", options->file, "a TOML file whose steps resize a range")->required();
    std::map<std::string, Way> ways;
    for (const Way way : {Way::gpremap_linux, Way::balloon, Way::virtio_mem, Way::dimm})
        ways.emplace(name_of(way), way);
    verb.add_option_function<std::vector<std::string>>(
            "--with",
            [options, ways](const std::vector<std::string>& names) {
                options->ways.clear();
                for (const std::string& name : names) options->ways.push_back(ways.at(name));
            },
            "ways to resize a Linux guest: gpremap-linux, by hypercall, and QEMU's balloon,virtio-mem,dimm "
            "(balloon,virtio-mem)")
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
    add_choice<Accelerate>(verb, "--accelerate", options->accelerate, accelerate_names,
                           "how QEMU runs its guest: auto takes KVM where that boots it");
    add_choice<bool>(verb, "--init-on-alloc", options->init_on_alloc, switch_names,
                     "whether the guests' Linux zeroes pages that it hands out (on)");
    verb.add_option("--memhp-default-state", options->memhp_default_state,
                    "what the guests' Linux makes of new memory (online_movable)")
        ->check(CLI::IsMember({"online", "online_kernel", "online_movable"}))
        ->type_name("STATE");
    verb.add_option("--linux-image", options->overrides.linux_image,
                    "a folder with the kernel and the initramfs of gpremap-linux, which has resize_guest; "
                    "without it they are made")
        ->type_name("FOLDER");
    add_json(verb, options->json);
    add_sandbox(verb, *sandbox);
    add_overrides(verb, options->overrides, "what the file says");
    add_parameters(verb, options->overrides);
    verb.callback([&program, options, sandbox] {
        program.work = [&program, options, sandbox] {
            if (program.log.quiet) options->progress = ShowProgress::no;
            begin(*sandbox);
            return run_compare(*options, for_people(options->json, program.log));
        };
    });
}

}  // namespace gpremap
