// What the agent can be ordered to do: each order as the step that a mailbox takes, and those that need more
// memory than a mailbox has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/memory/caller.h"
#include "vmm/vcpus/performed.h"

namespace gpremap {

// The steps of guest/abi/agent.h, a function for each op; addresses are guest-physical, sizes in bytes.
namespace order {

// What fill writes and verify compares with.
struct Content {
    abi::Pattern pattern = abi::Pattern::byte;
    uint64_t value = 0;       // the byte, or the stamp's seed
    uint64_t first_page = 0;  // of a stamp
};

// At most six arguments.
abi::Step call(abi::Call number, std::span<const uint64_t> arguments);
abi::Step call(abi::Call number, std::initializer_list<uint64_t> arguments);
abi::Step fill(uint64_t at, uint64_t size, const Content& content);
abi::Step verify(uint64_t at, uint64_t size, const Content& content);
// `kind` is read or write; one word every `stride` bytes.
abi::Step touch(uint64_t at, uint64_t size, abi::FaultKind kind, uint64_t stride);
abi::Step copy(uint64_t from, uint64_t to, uint64_t size);
abi::Step read(uint64_t at);
abi::Step write(uint64_t at, uint64_t value);
// At most Step::inline_bytes.
abi::Step write(uint64_t at, std::span<const uint8_t> bytes);
abi::Step exec(uint64_t at);
// A function that returns `value`, for exec: code_<architecture>.cpp.
std::vector<uint8_t> code_returning(uint32_t value);
// `entry` is that of a program, 0 for the agent's own workloads.
abi::Step workload(uint64_t entry);
// `pulse` is the address of an abi::Pulse in the agent's memory.
abi::Step pulse(uint64_t pulse, uint64_t most_faults_in_a_row);
// Of a Linux guest.
abi::Step plug(uint64_t size);
abi::Step unplug(uint64_t at, uint64_t size, double seconds);

}  // namespace order

// What a call has returned: -EFAULT where the agent says that it did not get through it.
int64_t returned_by(const abi::Report& report);

// Queries and batches. What they hand over lies in the agent's memory, in a buffer of the vCPU's own
// (layout::order_buffer), so several vCPUs can be at it at once.
class Orders {
  public:
    // Has the agent on `vcpu` do a step, as a machine does.
    using Perform = std::function<Performed(unsigned vcpu, const abi::Step&)>;

    struct Queried {
        Performed performed;  // the step that failed, or else the last one
        std::vector<abi::ExtentInfo> extents;
    };
    struct Batched {
        Performed performed;
        std::vector<int64_t> results;  // of each call; none where it did not return 0
    };

    struct Commanded {
        Performed performed;  // its result is the command's status
        std::string output;   // the end of what it has written
    };
    static constexpr std::size_t longest_command = 0x10000;  // bytes, with a zero at the end

    // `memory` is the guest's own.
    Orders(CallerMemory& memory, Perform perform);

    // All extents of [at, at + size), however many: what does not fit the buffer is asked for again, from the
    // end of the last extent that did. Throws GuestDied for an answer that none can be.
    Queried query(unsigned vcpu, uint64_t at, uint64_t size);

    Batched batch(unsigned vcpu, std::span<const abi::BatchCall> calls);

    // Has the shell of a Linux guest run `text`, which is shorter than longest_command.
    Commanded command(unsigned vcpu, const std::string& text);

  private:
    CallerMemory& memory_;
    Perform perform_;
};

}  // namespace gpremap
