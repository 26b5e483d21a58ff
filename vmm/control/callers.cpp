#include "vmm/control/callers.h"

#include <cerrno>
#include <chrono>
#include <cstring>

#include "vmm/base/errno_names.h"
#include "vmm/control/protocol.h"

namespace gpremap {

namespace {

using Clock = std::chrono::steady_clock;

// Where the host has the structures that a call of its own points to: from address 0 on.
class HostMemory final : public CallerMemory {
  public:
    explicit HostMemory(std::span<std::byte> bytes) : bytes_(bytes) {}

    bool read(uint64_t at, void* to, size_t size) const override {
        if (!has(at, size)) return false;
        std::memcpy(to, bytes_.data() + at, size);
        return true;
    }
    bool write(uint64_t at, const void* from, size_t size) override {
        if (!has(at, size)) return false;
        std::memcpy(bytes_.data() + at, from, size);
        return true;
    }

  private:
    bool has(uint64_t at, size_t size) const { return at <= bytes_.size() && size <= bytes_.size() - at; }
    std::span<std::byte> bytes_;
};

}  // namespace

// ---- by the host ----

MadeCalls HostCaller::make(CallerMemory& memory, abi::Call number,
                           const std::array<uint64_t, 6>& args) const {
    const auto begin = Clock::now();
    Called called = call_(memory, number, args);
    called.record.call_ns = static_cast<uint64_t>(std::chrono::nanoseconds(Clock::now() - begin).count());
    return {called.result, called.record, {}};
}

MadeCalls HostCaller::call(const abi::BatchCall& call) const {
    HostMemory nothing({});
    return make(nothing, static_cast<abi::Call>(call.number), std::to_array(call.arg));
}

MadeCalls HostCaller::batch(std::span<const abi::BatchCall> calls) const {
    std::vector<abi::BatchCall> given(calls.begin(), calls.end());
    HostMemory memory(std::as_writable_bytes(std::span(given)));
    MadeCalls made = make(memory, abi::Call::batch, {0, given.size()});
    if (made.result == 0)
        for (const abi::BatchCall& call : given) made.results.push_back(call.result);
    return made;
}

// ---- by the guest ----

MadeCalls made_by_guest(const Performed& performed) {
    return {returned_by(performed.report), performed.call, {}};
}

unsigned GuestCaller::vcpu() const {
    if (!vcpu_)
        throw CallError(
            ErrorCode::refused,
            "a Linux guest makes its calls itself, and workloads have all its vCPUs: give it one more",
            {{"errno", errno_name(EBUSY)}, {"amount", 0}});
    return *vcpu_;
}

MadeCalls GuestCaller::call(const abi::BatchCall& call) const {
    return made_by_guest(
        perform_(vcpu(), order::call(static_cast<abi::Call>(call.number), std::span(call.arg))));
}

MadeCalls GuestCaller::batch(std::span<const abi::BatchCall> calls) const {
    Orders::Batched batched = Orders(memory_, perform_).batch(vcpu(), calls);
    MadeCalls made = made_by_guest(batched.performed);
    made.results = std::move(batched.results);
    if (!is_error(made.result) && made.results.size() < calls.size())
        made.result = -EFAULT;  // what no batch returns
    return made;
}

}  // namespace gpremap
