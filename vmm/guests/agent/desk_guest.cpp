#include "vmm/guests/agent/desk_guest.h"

#include <cstddef>
#include <stdexcept>
#include <string>

#include "vmm/vcpus/post_mortem.h"

namespace gpremap {

bool is_announcement(const exits::Io& io, uint16_t port) {
    return io.port == port && io.direction == exits::Io::Direction::out && io.size == 4 && io.count == 1;
}

void DeskGuest::require_version(uint64_t version) {
    if (version == GPREMAP_ABI_VERSION) return;
    throw GuestEnds("the agent speaks version " + std::to_string(version) + " of the ABI, this program " +
                    std::to_string(GPREMAP_ABI_VERSION) + ": build both anew");
}

void DeskGuest::end_unhandled(unsigned vcpu) const {
    abi::Fault fault;
    if (!memory_.read(layout::mailbox(vcpu) + offsetof(abi::Mailbox, fault), &fault, sizeof fault))
        throw std::logic_error("the mailbox is outside the agent's memory");
    throw GuestEnds("unhandled fault: " + describe(fault));
}

}  // namespace gpremap
