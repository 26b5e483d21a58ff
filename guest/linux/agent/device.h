// /dev/gpremap, as this program uses it.
#pragma once

#include "guest/abi/agent.h"
#include "guest/linux/module/gpremap.h"

namespace gpremap {

// What makes the guest end: the console gets the text, and the VMM the status 1.
[[noreturn]] void give_up(const char* what);

// The hypercall `power_off` itself, so it needs no module.
[[noreturn]] void power_off(int status);

class Device {
  public:
    // Opens it, asks for the world and maps it: the agent's memory and the aperture, each address where the guest has it.
    // Gives up where it cannot.
    Device();

    const gpremap_linux_world& world() const { return world_; }
    bool in_aperture(uint64_t at) const { return at - world_.aperture_base < world_.aperture_size; }

    // A hypercall of the vCPU that the calling thread is bound to: result, or -errno.
    int64_t call(unsigned vcpu, const gpremap_batch_call& call) const;
    int64_t call(unsigned vcpu, abi::Call number) const {
        return this->call(vcpu, {static_cast<uint64_t>(number), {}, 0});
    }

    // The address, or -errno.
    int64_t plug(uint64_t size) const;
    // How many bytes, or -errno.
    int64_t unplug(uint64_t at, uint64_t size, uint64_t milliseconds) const;

    // What is mapped at `at`, as far as it lies in the same 2 MiB; its prot is 0 in a hole.
    abi::ExtentInfo extent_at(uint64_t at) const;

    // Lets the process execute a range of the aperture, or no more. Where something in it may not be executed, accesses fault.
    void set_executable(uint64_t at, uint64_t size, bool executable) const;

  private:
    void map(uint64_t at, uint64_t size, int protection, const char* what) const;

    int fd_;
    gpremap_linux_world world_;
};

}  // namespace gpremap
