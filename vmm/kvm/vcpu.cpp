#include "vmm/kvm/vcpu.h"

#include <signal.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "vmm/base/errors.h"
#include "vmm/kvm/vcpu_gate.h"

namespace gpremap {
namespace {

// Every signal but the kick and those that a thread raises itself is blocked inside KVM_RUN too.
SignalMask mask_in_guest() {
    uint64_t blocked = ~0ull;
    for (int open : {VcpuGate::kick_signal(), SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT})
        blocked &= ~(1ull << (open - 1));
    SignalMask mask = {};
    mask.length = sizeof mask.set;
    std::memcpy(mask.set, &blocked, sizeof blocked);
    return mask;
}

// A kick ends KVM_RUN without its handler having run: the signal is still pending, and would end
// every later KVM_RUN.
void consume_kick() {
    sigset_t kick;
    sigemptyset(&kick);
    sigaddset(&kick, VcpuGate::kick_signal());
    const timespec at_once = {};
    while (sigtimedwait(&kick, nullptr, &at_once) >= 0) {
    }
}

}  // namespace

Vcpu::Vcpu(const Kvm& kvm, Descriptor fd)
    : capabilities_(kvm.capabilities()), fd_(std::move(fd)), area_size_(kvm.run_area_size()) {
    SignalMask mask = mask_in_guest();
    kvm_ioctl(fd_, kvm_number::set_signal_mask, &mask, "KVM_SET_SIGNAL_MASK");
    void* area = mmap(nullptr, area_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
    if (area == MAP_FAILED) throw_errno("mapping the kvm_run area");
    area_ = static_cast<kvm_run*>(area);
    prepare(kvm);
}

Vcpu::~Vcpu() {
    munmap(area_, area_size_);
}

const kvm_regs& Vcpu::registers() {
    load_registers();
    return registers_;
}

void Vcpu::set_registers(const kvm_regs& regs) {
    registers_ = regs;
    changed_ = true;
}

// 0, or the errno of KVM_RUN.
int Vcpu::enter_once() {
    store_registers();
    return ioctl(fd_.get(), KVM_RUN, 0) < 0 ? errno : 0;
}

Exit Vcpu::run() {
    switch (int error = enter_once()) {
        case 0:
            break;
        case EAGAIN:
        case EINTR:
            consume_kick();
            return exits::Interrupted{};
        case EFAULT:
            return exits::HostFault{};
        // A VM that KVM has given up answers nothing more, so there is no report. A kernel can bring it about: by an
        // interrupt for system management, which has no memory here.
        case EIO:
            throw GuestDied(
                "the guest died: KVM has given up the VM, as for system management mode without memory");
        default:
            errno = error;
            throw_errno("KVM_RUN");
    }
    return classify();
}

void Vcpu::finish_exit() {
    area_->immediate_exit = 1;
    int error = enter_once();
    area_->immediate_exit = 0;
    if (error == EINTR) return;
    errno = error;
    throw_errno("finishing an exit");
}

void Vcpu::pre_fault(uint64_t gpa, uint64_t size) {
    kvm_new::PreFaultMemory range = {};
    range.gpa = gpa;
    range.size = size;
    while (range.size > 0)
        if (ioctl(fd_.get(), kvm_new::pre_fault_memory, &range) < 0 && errno != EINTR && errno != EAGAIN)
            throw_errno("KVM_PRE_FAULT_MEMORY");
}

}  // namespace gpremap
