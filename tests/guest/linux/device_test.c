/*
 * /dev/gpremap, from a process of a Linux guest: mappings, faults, rights, the size of entries, exchanges under three writers, RAM that comes
 * and goes. Runs as root in a guest; ends with 1 where something is not as it should be, which it says.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/examples/linux/aperture.h"

#define PAGE UINT64_C(4096)
#define HUGE UINT64_C(0x200000)

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            printf("device_test:%d: not so: %s\n", __LINE__, #condition); \
            exit(1);                                                      \
        }                                                                 \
    } while (0)

/* ---- what the tests share ---- */

static uint64_t number_in(const char* path, int base) {
    char text[32];
    char* end = text;
    FILE* file = fopen(path, "r");
    CHECK(file && fgets(text, sizeof text, file));
    fclose(file);
    const uint64_t number = strtoull(text, &end, base);
    CHECK(end != text);
    return number;
}

static sigjmp_buf before;
static volatile int signal_taken;
static void* volatile address_taken;

static void handle(int signal, siginfo_t* info, void* context) {
    (void)context;
    signal_taken = signal;
    address_taken = info->si_addr;
    siglongjmp(before, 1);
}

enum access { reading, writing, executing };

/* The signal that an access gets, or 0; its address is in address_taken. */
static int signal_of(enum access access, char* at) {
    signal_taken = 0;
    address_taken = NULL;
    if (sigsetjmp(before, 1) == 0) {
        if (access == reading) (void)*(volatile char*)at;
        if (access == writing) *(volatile char*)at = 1;
        if (access == executing) ((void (*)(void))(uintptr_t)at)();
    }
    return signal_taken;
}

static long long count(const char* name) {
    char path[128];
    long long value = -1;
    snprintf(path, sizeof path, "/sys/class/misc/gpremap/%s", name);
    FILE* file = fopen(path, "r");
    CHECK(file && fscanf(file, "%lld", &value) == 1);
    fclose(file);
    return value;
}

/* `size` bytes of guest-physical memory at a multiple of 2 MiB. */
static uint64_t huge_memory(uint64_t size) {
    struct gpremap_linux_world world;
    CHECK(ioctl(device, GPREMAP_IOC_WORLD, &world) == 0);
    static uint64_t next;
    if (!next) next = (world.aperture_base + world.aperture_size / 2) & ~(HUGE - 1);
    const uint64_t at = call("map", gpremap_map, next, size, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0, 0);
    next += size + HUGE;
    return at;
}

/* ---- mappings ---- */

static void the_device_is_roots(void) {
    CHECK(access(GPREMAP_DEVICE, F_OK) == 0);
    const pid_t child = fork();
    int status = -1;
    if (child == 0) {
        if (setuid(1)) _exit(2);
        _exit(open(GPREMAP_DEVICE, O_RDWR) < 0 && errno == EACCES ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void mappings_are_limited_to_what_there_is(void) {
    struct gpremap_linux_world world;
    CHECK(ioctl(device, GPREMAP_IOC_WORLD, &world) == 0);
    const off_t end = (off_t)(world.aperture_base + world.aperture_size);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, end) == MAP_FAILED && errno == ENXIO);
    CHECK(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, device, end - (off_t)PAGE) == MAP_FAILED);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, device, 0) == MAP_FAILED);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, device, (off_t)world.aperture_base) == MAP_FAILED &&
          errno == EINVAL);
    struct gpremap_batch_call control = {gpremap_power_off, {0}, 0};
    CHECK(ioctl(device, GPREMAP_IOC_CALL, &control) == -1 && errno == EINVAL);
}

static void a_hole_is_a_sigbus_with_its_address(void) {
    const uint64_t at = huge_memory(HUGE);
    char* seen = view(NULL, at, 2 * HUGE, PROT_READ | PROT_WRITE);
    CHECK(signal_of(writing, seen + 5) == 0 && seen[5] == 1);
    CHECK(signal_of(reading, seen + HUGE + 77) == SIGBUS && address_taken == seen + HUGE + 77);
    CHECK(signal_of(writing, seen + HUGE + 78) == SIGBUS && address_taken == seen + HUGE + 78);
    /* What is taken away is gone at once, and a page in the middle is a hole of its own. */
    call("unmap", gpremap_unmap, at + 5 * PAGE, PAGE, 0, 0, 0);
    CHECK(signal_of(reading, seen + 5 * PAGE + 9) == SIGBUS && address_taken == seen + 5 * PAGE + 9);
    CHECK(signal_of(reading, seen + 4 * PAGE) == 0 && signal_of(reading, seen + 6 * PAGE) == 0);
    CHECK(seen[5] == 1);
    /* The kernel's own accesses fail, and nothing else comes of them. */
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], seen + 5 * PAGE, 1) == -1 && errno == EFAULT);
    close(ends[0]);
    close(ends[1]);
    call("munmap", gpremap_linux_munmap, at, HUGE, 0, 0, 0); /* the native one refuses what has holes */
    CHECK(signal_of(reading, seen) == SIGBUS);
    munmap(seen, 2 * HUGE);
}

static void rights_are_the_vms(void) {
    const uint64_t at = huge_memory(HUGE);
    char* seen = view(NULL, at, HUGE, PROT_READ | PROT_WRITE);
    CHECK(signal_of(writing, seen) == 0 && signal_of(writing, seen + 9 * PAGE) == 0);
    call("protect", gpremap_protect, at, PAGE, GPREMAP_PROT_READ, 0, 0);
    CHECK(signal_of(reading, seen) == 0);
    CHECK(signal_of(writing, seen + 3) == SIGBUS && address_taken == seen + 3);
    CHECK(signal_of(writing, seen + PAGE) == 0 && signal_of(writing, seen + 9 * PAGE) == 0);
    /* 2 MiB that may be read only. */
    call("protect", gpremap_protect, at, HUGE, GPREMAP_PROT_READ, 0, 0);
    CHECK(signal_of(reading, seen + 8) == 0 && signal_of(writing, seen + 8) == SIGBUS);
    call("protect", gpremap_protect, at, HUGE, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0, 0);
    CHECK(signal_of(writing, seen + 8) == 0);
    call("unmap", gpremap_unmap, at, HUGE, 0, 0, 0);
    munmap(seen, HUGE);
}

static void only_what_may_be_executed_is(void) {
    const unsigned char ret = 0xc3;
    const uint64_t at = huge_memory(HUGE);
    char* seen = view(NULL, at, HUGE, PROT_READ | PROT_WRITE);
    memcpy(seen, &ret, 1);
    memcpy(seen + PAGE, &ret, 1);
    CHECK(signal_of(executing, seen) == SIGSEGV && address_taken == seen);
    call("protect", gpremap_protect, at, PAGE, GPREMAP_PROT_READ | GPREMAP_PROT_EXEC, 0, 0);
    CHECK(mprotect(seen, HUGE, PROT_READ | PROT_EXEC) == 0);
    CHECK(signal_of(executing, seen) == 0);
    CHECK(signal_of(executing, seen + PAGE) == SIGBUS && address_taken == seen + PAGE);
    call("unmap", gpremap_unmap, at, HUGE, 0, 0, 0);
    munmap(seen, HUGE);
}

static void entries_are_of_2_mib_where_they_fit(void) {
    const uint64_t at = huge_memory(8 * HUGE);
    const long long huge = count("huge_faults"), small = count("small_faults");
    char* seen = view(NULL, at, 8 * HUGE, PROT_READ | PROT_WRITE);
    memset(seen, 7, 8 * HUGE);
    CHECK(count("huge_faults") - huge == 8 && count("small_faults") == small);
    /* A hole of a page: what is around it has small entries, the rest keeps large ones. */
    call("unmap", gpremap_unmap, at + 3 * HUGE, PAGE, 0, 0, 0);
    for (uint64_t offset = 0; offset < 8 * HUGE; offset += PAGE)
        if (offset != 3 * HUGE) CHECK(seen[offset] == 7);
    CHECK(count("huge_faults") - huge == 8);
    CHECK(count("small_faults") - small == 32); /* 16 pages each */
    call("unmap", gpremap_linux_munmap, at, 8 * HUGE, 0, 0, 0);
    munmap(seen, 8 * HUGE);
}

static void queries_and_batches_take_structures_of_the_process(void) {
    const uint64_t at = huge_memory(HUGE);
    struct gpremap_extent_info extents[2] = {{0}};
    struct gpremap_batch_call calls[2] = {
        {gpremap_protect, {at, PAGE, GPREMAP_PROT_READ}, 1},
        {gpremap_unmap, {at + 2 * PAGE, PAGE}, 1},
    };
    CHECK(call("query", gpremap_query, at, HUGE, (uintptr_t)extents, 2, 0) == 1 && extents[0].at == at);
    CHECK(call("batch", gpremap_batch, (uintptr_t)calls, 2, 0, 0, 0) == 0);
    CHECK(calls[0].result == 0 && calls[1].result == 0);
    CHECK(call("query", gpremap_query, at, HUGE, (uintptr_t)extents, 2, 0) == 3 && extents[1].size == PAGE);
    CHECK(gpremap_device_call(device, gpremap_query, at, HUGE, 8, 2, 0, 0) == -EFAULT);
    CHECK(gpremap_device_call(device, gpremap_batch, 8, 2, 0, 0, 0, 0) == -EFAULT);
    call("unmap", gpremap_linux_munmap, at, HUGE, 0, 0, 0);
}

/* ---- exchanges under three writers ---- */

/* What the processes share beside the ranges. The third of those that count is a thread of the kernel. */
enum { PROCESSES = 2, WRITERS = 3 };
struct writers {
    atomic_int stop;
    volatile uint64_t made[WRITERS];
};

/* In one range: a word that all count in, and one of each. */
static volatile uint64_t* word_of(char* range, int writer) {
    return (volatile uint64_t*)(range + 64 * (writer + 1));
}

/* Has a mapping of its own. The plain increment is one instruction, which reads and writes the same memory wherever that is. */
static void write_on(struct writers* writers, int writer, uint64_t at) {
    char* range = view(NULL, at, HUGE, PROT_READ | PROT_WRITE);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (!atomic_load_explicit(&writers->stop, memory_order_relaxed)) {
        __asm__ volatile("incq %0" : "+m"(*word_of(range, writer)));
        atomic_fetch_add((_Atomic uint64_t*)range, 1);
        writers->made[writer]++;
    }
    _exit(0);
}

/* kernel_writer/kernel_writer.c, which the image has been given. */
static void begin_kernel_writer(uint64_t at) {
    char arguments[80];
    const int module = open("/bin/kernel_writer.ko", O_RDONLY | O_CLOEXEC);
    CHECK(module >= 0);
    snprintf(arguments, sizeof arguments, "at=%llu own=%d", (unsigned long long)at, 64 * WRITERS);
    CHECK(syscall(SYS_finit_module, module, arguments, 0) == 0);
    close(module);
}

static uint64_t made_by_kernel(void) {
    return number_in("/sys/module/kernel_writer/parameters/made", 10);
}

/* Returns how often it has counted. */
static uint64_t end_kernel_writer(void) {
    const char* text = "kernel_writer: ";
    char log[65536];
    CHECK(syscall(SYS_delete_module, "kernel_writer", 0) == 0);
    const ssize_t length = syscall(SYS_syslog, 3 /* read all */, log, sizeof log - 1);
    CHECK(length > 0);
    log[length] = 0;
    const char* last = NULL;
    for (const char* at = log; (at = strstr(at, text)); at += strlen(text)) last = at;
    CHECK(last);
    return strtoull(last + strlen(text), NULL, 10);
}

/* Two ranges change places all the time, so what a writer counts in is now this memory, now that: the sum over both is what it
   has made. */
static void nothing_is_lost_under_exchanges(unsigned exchanges) {
    const uint64_t ranges[2] = {huge_memory(HUGE), huge_memory(HUGE)};
    struct writers* writers = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[PROCESSES];
    CHECK(writers != MAP_FAILED);
    begin_kernel_writer(ranges[0]);
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        CHECK(pids[i] >= 0);
        if (pids[i] == 0) write_on(writers, i, ranges[0]);
    }
    CHECK(setpriority(PRIO_PROCESS, 0, -20) == 0); /* or it mostly waits for the writers */
    for (unsigned i = 0; i < exchanges; i++)
        call("exchange", gpremap_exchange, ranges[0], ranges[1], HUGE, 0, 0);
    CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0);
    for (int tries = 0; tries < 60000 && !(writers->made[0] && writers->made[1] && made_by_kernel()); tries++)
        usleep(1000);
    atomic_store(&writers->stop, 1);
    writers->made[PROCESSES] = end_kernel_writer();
    uint64_t all = 0, counted = 0, plain[WRITERS] = {0};
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        CHECK(waitpid(pids[i], &status, 0) == pids[i] && status == 0);
    }
    for (int half = 0; half < 2; half++) {
        char* range = view(NULL, ranges[half], HUGE, PROT_READ | PROT_WRITE);
        counted += *(volatile uint64_t*)range;
        for (int i = 0; i < WRITERS; i++) plain[i] += *word_of(range, i);
        munmap(range, HUGE);
        call("unmap", gpremap_unmap, ranges[half], HUGE, 0, 0, 0);
    }
    printf("device_test: %u exchanges;", exchanges);
    for (int i = 0; i < WRITERS; i++) {
        const uint64_t made = writers->made[i];
        printf(" %llu", (unsigned long long)made);
        CHECK(made && plain[i] == made);
        all += made;
    }
    printf(" increments of two processes and of the kernel\n");
    CHECK(counted == all);
}

/* ---- RAM ---- */

static long long memory_total_kib(void) {
    char line[128];
    long long kib = -1;
    FILE* file = fopen("/proc/meminfo", "r");
    CHECK(file);
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "MemTotal: %lld", &kib) == 1) break;
    fclose(file);
    return kib;
}

static uint64_t block_size(void) {
    return number_in("/sys/devices/system/memory/block_size_bytes", 16);
}

static void ram_comes_and_goes(void) {
    const uint64_t block = block_size();
    const long long before = memory_total_kib();
    struct gpremap_plug plug = {2 * block, 0};
    CHECK(ioctl(device, GPREMAP_IOC_PLUG, &plug) == 0);
    CHECK(memory_total_kib() - before == (long long)(2 * block >> 10));
    /* The kernel's now: no call may take it, and no process sees it. */
    CHECK(gpremap_device_call(device, gpremap_unmap, plug.at, PAGE, 0, 0, 0, 0) == -EBUSY);
    char* seen = view(NULL, plug.at, PAGE, PROT_READ);
    CHECK(signal_of(reading, seen) == SIGBUS);
    struct gpremap_unplug absent = {plug.at - block, block, 1000, 0},
                          wrong = {plug.at + PAGE, block, 1000, 0};
    CHECK(ioctl(device, GPREMAP_IOC_UNPLUG, &absent) == -1 && errno == ENOENT);
    CHECK(ioctl(device, GPREMAP_IOC_UNPLUG, &wrong) == -1 && errno == EINVAL);
    struct gpremap_unplug half = {plug.at + block, block, 60000, 0}, rest = {plug.at, block, 60000, 0};
    CHECK(ioctl(device, GPREMAP_IOC_UNPLUG, &half) == 0 && half.unplugged == block);
    CHECK(ioctl(device, GPREMAP_IOC_UNPLUG, &rest) == 0 && rest.unplugged == block);
    CHECK(memory_total_kib() == before);
    struct gpremap_plug odd = {PAGE, 0};
    CHECK(ioctl(device, GPREMAP_IOC_PLUG, &odd) == -1 && errno == EINVAL);
}

/* More is in use than fits elsewhere: the kernel would try forever. */
static void an_unplug_ends_by_its_deadline(void) {
    const uint64_t block = block_size(), blocks = 2;
    struct gpremap_plug plug = {blocks * block, 0};
    CHECK(ioctl(device, GPREMAP_IOC_PLUG, &plug) == 0);
    /* All that is free, but for what the kernel itself needs. */
    const uint64_t size = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * PAGE - (UINT64_C(48) << 20);
    char* taken =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(taken != MAP_FAILED);
    for (uint64_t at = 0; at < size; at += PAGE) taken[at] = 1;
    struct timespec begin, end;
    struct gpremap_unplug unplug = {plug.at, plug.size, 2000, 0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const int error = ioctl(device, GPREMAP_IOC_UNPLUG, &unplug) ? errno : 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("device_test: unplugged %llu of %llu MiB, error %d, after %lld s\n",
           (unsigned long long)unplug.unplugged >> 20, (unsigned long long)plug.size >> 20, error,
           (long long)(end.tv_sec - begin.tv_sec));
    CHECK(error ? error == ETIMEDOUT || error == EBUSY
                : unplug.unplugged > 0 && unplug.unplugged < plug.size);
    CHECK(end.tv_sec - begin.tv_sec < 30);
    for (uint64_t at = 0; at < size; at += PAGE) CHECK(taken[at] == 1);
    munmap(taken, size);
    struct gpremap_unplug rest = {plug.at, plug.size - (error ? 0 : unplug.unplugged), 120000, 0};
    CHECK(ioctl(device, GPREMAP_IOC_UNPLUG, &rest) == 0 && rest.unplugged == rest.size);
}

int main(int argc, char** argv) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    setvbuf(stdout, NULL, _IONBF, 0);

    open_device();
    the_device_is_roots();
    mappings_are_limited_to_what_there_is();
    a_hole_is_a_sigbus_with_its_address();
    rights_are_the_vms();
    only_what_may_be_executed_is();
    entries_are_of_2_mib_where_they_fit();
    queries_and_batches_take_structures_of_the_process();
    printf("device_test: mappings are as they should be\n");
    nothing_is_lost_under_exchanges(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300);
    ram_comes_and_goes();
    printf("device_test: RAM comes and goes\n");
    an_unplug_ends_by_its_deadline();
    printf("device_test: passed\n");
    return 0;
}
