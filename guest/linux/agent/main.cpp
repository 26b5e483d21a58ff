// The agent's world in a Linux guest: a process that shows the agent's image its memory and the aperture at the addresses
// that the guest has for them, and a thread for each vCPU that runs it (guest/abi/linux.h). Runs until the VMM ends the guest.
//
//     linux_agent               is the agent
//     linux_agent power_off N   ends the guest with the status N
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "guest/linux/agent/vcpu.h"

extern "C" [[noreturn]] void enter_image(uint64_t entry, uint64_t stack_top, uint64_t vcpu,
                                         gpremap::abi::Mailbox* mailbox, uint64_t tables);

namespace gpremap {
namespace {

void bind_to_processor(unsigned processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (sched_setaffinity(0, sizeof one, &one)) give_up("binding a vCPU's thread to its processor");
}

void* run_vcpu(void* argument) {
    VcpuState& state = *static_cast<VcpuState*>(argument);
    bind_to_processor(state.index);
    take_signals(state);
    enter_image(state.device.world().entry, state.stack_top, state.index, &state.mailbox,
                state.device.world().tables);
}

void be_the_agent() {
    static const Device device;
    const gpremap_linux_world& world = device.world();
    for (unsigned vcpu = 0; vcpu < world.vcpus; vcpu++) {
        auto* mailbox = reinterpret_cast<abi::Mailbox*>(world.vcpu[vcpu].mailbox);
        auto* state = new VcpuState{device, vcpu, *mailbox, world.vcpu[vcpu].stack_top};
        pthread_t thread;
        if ((errno = pthread_create(&thread, nullptr, run_vcpu, state))) give_up("starting a vCPU's thread");
    }
    for (;;) pause();
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[1], "power_off") == 0) gpremap::power_off(std::atoi(argv[2]));
    if (argc != 1) {
        std::fprintf(stderr, "usage: %s [power_off STATUS]\n", argv[0]);
        return 2;
    }
    gpremap::be_the_agent();
}
