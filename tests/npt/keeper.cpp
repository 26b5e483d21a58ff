// Keeps a VM for as long as the emulated machine runs. Linux patches its scheduler for the first VM and back
// after the last; under QEMU before 8.1 each time can end the machine (see machine.py), and tests make
// hundreds of VMs.
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

int main() {
    const int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0 || ioctl(kvm, KVM_CREATE_VM, 0) < 0) {
        std::perror("keeper: no VM");
        return 1;
    }
    if (fork() != 0) return 0;  // there is a VM now; the child holds it
    for (;;) pause();
}
