/*
 * W^X by two views of the same guest-physical memory: code is written through one, which cannot be executed, and executed
 * through the other, which cannot be written. No protection is changed in between, and no TLB is flushed.
 */
#include <setjmp.h>
#include <signal.h>

#include "guest/examples/linux/aperture.h"

#define SIZE UINT64_C(0x200000)

static sigjmp_buf before;
static void* refused_at;

static void handle(int signal, siginfo_t* info, void* context) {
    (void)signal, (void)context;
    refused_at = info->si_addr;
    siglongjmp(before, 1);
}

typedef int (*function)(int);

static function as_function(char* code) {
    function made;
    memcpy(&made, &code, sizeof made);
    return made;
}

/* mov $imm32, %eax; add %edi, %eax; ret */
static void write_code(char* at, int added) {
    const unsigned char begin = 0xb8, end[] = {0x01, 0xf8, 0xc3};
    memcpy(at, &begin, 1);
    memcpy(at + 1, &added, sizeof added);
    memcpy(at + 1 + sizeof added, end, sizeof end);
}

static void expect_refused(const char* what, const char* at) {
    if (refused_at != at) {
        printf("%s is not refused at %p\n", what, (const void*)at);
        exit(1);
    }
    refused_at = NULL;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);

    open_device();
    const uint64_t to_write = new_memory(SIZE);
    const uint64_t to_execute = call("alias", gpremap_alias, to_write, 0, SIZE,
                                     GPREMAP_PROT_READ | GPREMAP_PROT_EXEC, GPREMAP_FLAG_ANYWHERE);
    char* writable = view(NULL, to_write, SIZE, PROT_READ | PROT_WRITE);
    char* executable = view(NULL, to_execute, SIZE, PROT_READ | PROT_EXEC);
    char* writable_there = view(NULL, to_execute, SIZE, PROT_READ | PROT_WRITE);

    for (int i = 0; i < 1000; i++) {
        write_code(writable, i);
        if (as_function(executable)(1) != i + 1) {
            printf("code %d is not what has been written\n", i);
            return 1;
        }
    }
    /* Whatever the process asks for: the VM gives the second view no right to write. */
    if (sigsetjmp(before, 1) == 0) writable_there[64] = 1;
    expect_refused("writing through the view that can be executed", writable_there + 64);
    if (sigsetjmp(before, 1) == 0) as_function(writable)(1);
    expect_refused("executing through the view that can be written", writable);
    printf("1000 functions written and executed, 2 accesses refused\n");
    return 0;
}
