#include "vmm/guests/linux/ring0_probe.h"

#include <array>
#include <memory>
#include <string>
#include <variant>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"
#include "vmm/guests/agent/agent_memory.h"
#include "vmm/guests/agent/world.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

constexpr uint8_t breakpoint = 3;  // the vector
constexpr uint64_t code = layout::stubs + layout::page / 2;

// The agent's tables, in ring 0 in place of 3: its stub for exceptions then tells the vector.
void begin_in_ring0(Vcpu& vcpu) {
    constexpr uint16_t ring0_code = 0x08, ring0_data = 0x10;
    kvm_sregs sregs = user_state(0, vcpu.special_registers());
    sregs.cs.selector = ring0_code;
    sregs.ss.selector = ring0_data;
    sregs.cs.dpl = sregs.ss.dpl = 0;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss;
    vcpu.set_special_registers(sregs);
    kvm_regs regs = {};
    regs.rip = code;
    regs.rsp = layout::block(0) + layout::ring0_stack_in_block + layout::page;
    regs.rflags = 2;
    vcpu.set_registers(regs);
}

std::string what_went_wrong(Vcpu& vcpu) {
    for (int interruptions = 0; interruptions < 16; interruptions++) {
        const Exit exit = vcpu.run();
        if (std::holds_alternative<exits::Interrupted>(exit)) continue;
        const auto* io = std::get_if<exits::Io>(&exit);
        const bool arrived =
            io && io->port == abi::exception_port && (vcpu.registers().rax & 0xff) == breakpoint;
        return arrived ? "" : vcpu.describe_exit();
    }
    return "it does not come to an end";
}

}  // namespace

void require_ring0(const Kvm& kvm) {
    // cpuid; rdtsc; mov %cr3, %rax; mov %rax, %cr3; int3
    constexpr std::array<uint8_t, 11> instructions = {0x0f, 0xa2, 0x0f, 0x31, 0x0f, 0x20,
                                                      0xd8, 0x0f, 0x22, 0xd8, 0xcc};
    const Aperture aperture = {abi::lowest_aperture, 1ull << 30};
    Vm vm(kvm);
    AgentMemory memory(vm);
    build_agent_world(memory.bytes(), aperture, kvm.capabilities());
    if (!memory.write(code, instructions.data(), instructions.size())) return;
    const std::unique_ptr<Vcpu> vcpu = vm.create_vcpu();
    begin_in_ring0(*vcpu);
    const std::string wrong = what_went_wrong(*vcpu);
    if (wrong.empty()) return;
    throw HostLacks("this host's KVM cannot run a kernel: an int3 in ring 0 ended in " + wrong +
                    ": use a host with nested paging (see gpremap doctor), or an emulated machine: "
                    "tests/npt/run-in-npt");
}

}  // namespace gpremap
