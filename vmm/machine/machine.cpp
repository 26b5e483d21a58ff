#include "vmm/machine/machine.h"

#include <string>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/vcpu_thread.h"

namespace gpremap {
namespace {

const MachineConfig& checked(const MachineConfig& config) {
    if (config.vcpus == 0 || config.vcpus > abi::max_vcpus)
        throw ConfigError("vm.vcpus: expected 1 to " + std::to_string(abi::max_vcpus));
    return config;
}

}  // namespace

// In the order of construction; destroyed in reverse, the threads first.
struct Machine::State {
    explicit State(const MachineConfig& config)
        : vm(kvm),
          entry(build_agent_world(vm.agent_memory(),
                                  {config.memory.aperture_base, config.memory.aperture_size},
                                  kvm.capabilities())),
          remapper(vm, config.memory),
          crew(vm, remapper, entry) {}

    ~State() {
        crew.stop(nullptr);
        workers.clear();
    }

    Kvm kvm;
    Vm vm;
    uint64_t entry;
    Remapper remapper;
    Crew crew;
    std::vector<std::unique_ptr<VcpuWorker>> workers;
};

Machine::Machine(const MachineConfig& config) : state_(std::make_unique<State>(checked(config))) {
    for (unsigned vcpu = 0; vcpu < config.vcpus; vcpu++)
        state_->workers.push_back(std::make_unique<VcpuWorker>(vcpu, state_->vm.create_vcpu(), state_->crew));
    for (auto& worker : state_->workers) worker->wait_until_ready();
}

Machine::~Machine() = default;

Performed Machine::perform(unsigned vcpu, const abi::Step& step) {
    start(vcpu, step);
    return finish(vcpu);
}

void Machine::start(unsigned vcpu, const abi::Step& step) {
    state_->workers.at(vcpu)->start(step);
}

Performed Machine::finish(unsigned vcpu) {
    return state_->workers.at(vcpu)->finish();
}

void Machine::pre_fault(unsigned vcpu, uint64_t gpa, uint64_t size) {
    state_->workers.at(vcpu)->pre_fault(gpa, size);
}

unsigned Machine::vcpus() const {
    return static_cast<unsigned>(state_->workers.size());
}

Remapper& Machine::remapper() {
    return state_->remapper;
}

Vm& Machine::vm() {
    return state_->vm;
}

}  // namespace gpremap
