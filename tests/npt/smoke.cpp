// Proves the machine of this suite: KVM on nested paging, running a guest. Links statically and needs
// nothing of the project, so that where it fails the machine is at fault.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

namespace {

constexpr int pre_fault_memory = 236;  // KVM_CAP_PRE_FAULT_MEMORY, newer than Debian 12's header
constexpr uint16_t port = 0xe9;
constexpr uint64_t code_at = 0x1000;
constexpr size_t memory_size = 0x4000;

// Stores 42 in a page of its own, reads it back, sends it out, halts.
constexpr uint8_t code[] = {
    0xc6, 0x06, 0x00, 0x20, 42,  // movb $42, (0x2000)
    0xa0, 0x00, 0x20,            // mov  (0x2000), %al
    0xe6, port,                  // out  %al, $port
    0xf4,                        // hlt
};

[[noreturn]] void fail(const std::string& what) {
    std::cout << "failed: " << what << "\n";
    std::exit(1);
}

int check(int result, const char* what) {
    if (result < 0) fail(std::string(what) + ": " + std::strerror(errno));
    return result;
}

void require_on(const std::string& parameter) {
    std::string value;
    std::getline(std::ifstream("/sys/module/" + parameter), value);
    std::cout << parameter << " " << value << "\n";
    if (value != "Y") fail(parameter + " is not Y");
}

uint8_t* memory_of(int vm) {
    void* const memory =
        mmap(nullptr, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    kvm_userspace_memory_region slot{};
    slot.memory_size = memory_size;
    slot.userspace_addr = reinterpret_cast<uint64_t>(memory);
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
    return static_cast<uint8_t*>(memory);
}

void start_in_real_mode(int vcpu) {
    kvm_sregs system{};
    check(ioctl(vcpu, KVM_GET_SREGS, &system), "KVM_GET_SREGS");
    for (kvm_segment* segment : {&system.cs, &system.ds}) {
        segment->base = 0;
        segment->selector = 0;
    }
    check(ioctl(vcpu, KVM_SET_SREGS, &system), "KVM_SET_SREGS");
    kvm_regs registers{};
    registers.rip = code_at;
    registers.rflags = 2;
    check(ioctl(vcpu, KVM_SET_REGS, &registers), "KVM_SET_REGS");
}

void expect_exit(int vcpu, const kvm_run& run, uint32_t reason) {
    check(ioctl(vcpu, KVM_RUN, nullptr), "KVM_RUN");
    if (run.exit_reason != reason) {
        fail("exit " + std::to_string(run.exit_reason) + ", expected " + std::to_string(reason));
    }
}

void run_guest(int kvm) {
    const int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    uint8_t* const memory = memory_of(vm);
    std::memcpy(memory + code_at, code, sizeof code);
    const int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    const auto size =
        static_cast<size_t>(check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"));
    void* const shared = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (shared == MAP_FAILED) fail("mmap of the vCPU");
    const kvm_run& run = *static_cast<kvm_run*>(shared);

    start_in_real_mode(vcpu);
    expect_exit(vcpu, run, KVM_EXIT_IO);
    const int sent = static_cast<uint8_t*>(shared)[run.io.data_offset];
    std::cout << "the guest sent " << sent << " to port " << run.io.port << "\n";
    if (run.io.port != port || sent != 42) fail("expected 42 to port " + std::to_string(port));
    expect_exit(vcpu, run, KVM_EXIT_HLT);
}

}  // namespace

int main() {
    require_on("kvm_amd/parameters/npt");
    require_on("kvm/parameters/tdp_mmu");
    const int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
    const int pre_fault = check(ioctl(kvm, KVM_CHECK_EXTENSION, pre_fault_memory), "KVM_CHECK_EXTENSION");
    std::cout << "KVM_CAP_PRE_FAULT_MEMORY " << pre_fault << "\n";
    run_guest(kvm);
    std::ofstream("smoke.txt") << "a file brought back\n";
}
