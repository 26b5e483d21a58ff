// What a guest is to the VMM: how its vCPUs start, what of their exits is a hypercall, where its memory lies, how it
// is told of a fault, and how it is given steps to do. Each kind of guest is a folder of vmm/guests/ and a line in
// machine/machine.cpp; vcpus/ and machine/ know nothing else of it. What orders steps of the agent includes
// guests/agent.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "guest/abi/agent.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/memory/caller.h"
#include "vmm/vcpus/performed.h"

namespace gpremap {

struct Hypercall {
    abi::Call number;
    std::array<uint64_t, 6> args;
};

// The guest cannot go on: says why. The vCPU's thread makes a report of it, with registers and hypercalls.
struct GuestEnds : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What a vCPU has done since the guest last cleared it; `visit` is what the thread last saw.
struct Activity {
    Visit visit;
    std::optional<CallRecord> call;  // the last remapping call
    uint64_t retries = 0;            // of accesses that the space had come to allow meanwhile
    uint64_t retries_in_a_row = 0;   // of the access that needed most
};

// Its own memory, which no call can remap, is where its calls' structures lie.
class Guest : public CallerMemory {
  public:
    // ---- by the vCPU's own thread. Each may throw GuestEnds. ----

    // Puts the vCPU where it begins.
    virtual void start(unsigned vcpu, Vcpu& state) = 0;
    // The hypercall that this exit is, if it is one. Its result goes where Vcpu::set_result puts it.
    virtual std::optional<Hypercall> hypercall(const exits::Io& io, const kvm_regs& regs) const = 0;
    // A hypercall that remaps nothing: its result or -errno; nothing where the vCPU is to stop.
    virtual std::optional<int64_t> control(unsigned vcpu, Vcpu& state, const Hypercall& call,
                                           Activity& activity) = 0;
    // An access to a port that is no hypercall: `no` for one that this guest has no reason to make, `access` for one by
    // which it tells that an access of the instruction where the vCPU now is did not get through.
    enum class Known { no, yes, access };
    virtual Known port(unsigned vcpu, Vcpu& state, const exits::Io& io) = 0;
    // An access where no slot is. Known::yes: it was a device's, or to where devices would be, and is dealt with.
    virtual Known device(Vcpu& state, const exits::Mmio& mmio) = 0;
    // The vCPU goes on where the guest handles faults.
    virtual void deliver(unsigned vcpu, Vcpu& state, const abi::Fault& fault) = 0;
    // What is known of a vCPU beside its registers: "; ..." for a report, or nothing.
    virtual std::string last_words(unsigned vcpu) const = 0;

    // Guest-virtual to guest-physical, as this vCPU's own tables have it; nothing where they map nothing.
    virtual std::optional<uint64_t> translate(unsigned vcpu, uint64_t address) const = 0;
    // Memory of its own, for what guest and host both access at the same time; null where any of it is elsewhere. Valid as
    // long as the guest.
    virtual std::byte* own_memory(uint64_t gpa, std::size_t size) = 0;
    // Whether a guest-physical address is in memory of its own.
    virtual bool owns(uint64_t gpa) const = 0;
    // The guest-physical address of a page table that maps nothing, for Vcpu::abandon_mmio.
    virtual uint64_t empty_page_table() const = 0;

    // ---- by any thread of the host ----

    // Told once and for all that the vCPUs stop: whoever waits for this guest waits no longer, and gets `cause`, if
    // there is any.
    virtual void stop(std::exception_ptr cause) = 0;
    // Waits until the vCPU takes steps.
    virtual void wait_until_ready(unsigned vcpu) = 0;
    // Machine::start and Machine::finish.
    virtual void begin(unsigned vcpu, const abi::Step& step) = 0;
    virtual Performed finish(unsigned vcpu) = 0;
    // Whether finish() would return at once, or does within `longest`.
    virtual bool wait_until_done(unsigned vcpu, std::chrono::milliseconds longest) = 0;
    // Of the TSC that a vCPU's reports are in. Known once it takes steps.
    virtual uint32_t tsc_khz(unsigned vcpu) const = 0;
    // Throws std::logic_error where the vCPU has a step to do, and what has stopped the guest.
    virtual void require_idle(unsigned vcpu) = 0;
};

}  // namespace gpremap
