#include "vmm/bench/rig.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "vmm/base/errno_names.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

constexpr uint64_t page = 4096;  // bytes

MachineConfig config_of(const BenchSetting& setting, uint64_t limit) {
    MachineConfig config;
    config.vcpus = setting.vcpus;
    config.memory.granule = setting.granule;
    config.memory.aperture_base = Rig::place(0);
    config.memory.aperture_size = Rig::places * Rig::distance;
    config.memory.limit = limit;
    config.memory.max_extents = std::max(config.memory.max_extents, setting.extents);
    config.memory.backing = setting.backing;
    config.memory.mechanism = setting.mechanism;
    config.memory.pause = setting.pause;
    config.memory.snapshots = setting.snapshots;
    config.ring = setting.ring;
    config.memory.pool = setting.pool;
    config.memory.pre_fault = setting.pre_fault;
    return config;
}

}  // namespace

Rig::Rig(const BenchSetting& setting, uint64_t limit)
    : machine_(config_of(setting, limit), setting.cpus),
      orders_(machine_.guest(), [this](unsigned, const abi::Step& step) { return perform(step); }) {}

Performed Rig::call(abi::Call number, const std::array<uint64_t, 6>& args) {
    return perform(order::call(number, args));
}

Performed Rig::batch(std::span<const abi::BatchCall> calls) {
    return orders_.batch(0, calls).performed;
}

void Rig::map(uint64_t at, uint64_t size) {
    call(abi::Call::map, {at, size, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0});
}

Performed Rig::move(uint64_t from, uint64_t to, uint64_t size) {
    return call(abi::Call::move, {from, to, size, 0});
}

Performed Rig::read(uint64_t at, uint64_t size) {
    return perform(order::touch(at, size, abi::FaultKind::read, page));
}

Performed Rig::write(uint64_t at, uint64_t size) {
    return perform(order::touch(at, size, abi::FaultKind::write, page));
}

Performed Rig::copy(uint64_t from, uint64_t to, uint64_t size) {
    return perform(order::copy(from, to, size));
}

Performed Rig::perform(const abi::Step& step) {
    Performed done = machine_.perform(0, step);
    if (done.report.outcome == abi::Outcome::fault)
        throw std::runtime_error("bench: the guest's access to " + std::to_string(done.report.fault.address) +
                                 " faulted; is the host out of memory or huge pages?");
    if (step.op == abi::Op::call && done.report.result < 0)
        throw std::runtime_error("bench: call " + std::to_string(step.arg[0]) + " at " +
                                 std::to_string(step.arg[1]) + " failed with " +
                                 errno_name(-done.report.result) +
                                 "; a smaller --max-size needs less of the host");
    return done;
}

}  // namespace gpremap
