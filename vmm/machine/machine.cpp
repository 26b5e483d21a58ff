#include "vmm/machine/machine.h"

#include <string>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/guests/agent/agent_guest.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/linux.h"
#include "vmm/vcpus/call_rings.h"
#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {
namespace {

const MachineConfig& checked(const MachineConfig& config) {
    if (config.vcpus == 0 || config.vcpus > abi::max_vcpus)
        throw ConfigError("vm.vcpus: expected 1 to " + std::to_string(abi::max_vcpus));
    return config;
}

// The only place that knows which guests there are.
std::unique_ptr<Guest> load_guest(const Kvm& kvm, Vm& vm, const MachineConfig& config) {
    if (config.guest == GuestKind::linux) return load_linux(kvm, vm, config);
    return std::make_unique<AgentGuest>(
        vm, config.vcpus, Aperture{config.memory.aperture_base, config.memory.aperture_size},
        config.ring ? AgentGuest::Calls::by_ring : AgentGuest::Calls::by_exit);
}

}  // namespace

// In the order of construction; destroyed in reverse, the threads first.
struct Machine::State {
    explicit State(const MachineConfig& config)
        : vm(kvm),
          guest(load_guest(kvm, vm, config)),
          remapper(vm, config.memory),
          crew{vm, remapper, *guest} {
        if (!config.ring) return;
        rings = std::make_unique<CallRings>(crew);
        crew.rings = rings.get();
    }

    ~State() {
        crew.stop(nullptr);
        threads.clear();
    }

    Kvm kvm;
    Vm vm;
    std::unique_ptr<Guest> guest;
    Remapper remapper;
    Crew crew;
    std::unique_ptr<CallRings> rings;
    std::vector<std::unique_ptr<VcpuThread>> threads;
};

Machine::Machine(const MachineConfig& config, const std::vector<unsigned>& cpus)
    : state_(std::make_unique<State>(checked(config))) {
    for (unsigned vcpu = 0; vcpu < config.vcpus; vcpu++)
        state_->threads.push_back(
            std::make_unique<VcpuThread>(vcpu, cpus.empty() ? std::nullopt : std::optional(cpus.at(vcpu)),
                                         state_->vm.create_vcpu(), state_->crew));
    for (unsigned vcpu = 0; vcpu < config.vcpus; vcpu++) state_->guest->wait_until_ready(vcpu);
}

Machine::~Machine() = default;

Performed Machine::perform(unsigned vcpu, const abi::Step& step) {
    start(vcpu, step);
    return finish(vcpu);
}

void Machine::start(unsigned vcpu, const abi::Step& step) {
    state_->guest->begin(vcpu, step);
}

Performed Machine::finish(unsigned vcpu) {
    return state_->guest->finish(vcpu);
}

bool Machine::wait_until_done(unsigned vcpu, std::chrono::milliseconds longest) {
    return state_->guest->wait_until_done(vcpu, longest);
}

void Machine::pre_fault(unsigned vcpu, uint64_t gpa, uint64_t size) {
    state_->threads.at(vcpu)->pre_fault(gpa, size);
}

unsigned Machine::vcpus() const {
    return static_cast<unsigned>(state_->threads.size());
}

Called Machine::call(abi::Call number, const std::array<uint64_t, 6>& args) {
    return state_->remapper.call({*state_->guest}, number, args);
}

Guest& Machine::guest() {
    return *state_->guest;
}

Remapper& Machine::remapper() {
    return state_->remapper;
}

Vm& Machine::vm() {
    return state_->vm;
}

}  // namespace gpremap
