/*
 * A store that is saved while it serves writes: by `snapshot`, which takes a second view of guest-physical memory whose pages are
 * copied when they are written; and beside it by fork(2), as Redis does. Prints what each costs: the pause of whoever
 * serves, and the page tables that come on top.
 *
 *     store_snapshot [MIB]
 */
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/examples/linux/aperture.h"

#define PAGE 4096

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Of this process, in KiB. */
static long page_tables(void) {
    char line[128];
    long kib = -1;
    FILE* status = fopen("/proc/self/status", "r");
    if (!status) return -1;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmPTE: %ld", &kib) == 1) break;
    fclose(status);
    return kib;
}

static void put_all(char* store, uint64_t size, uint64_t value) {
    for (uint64_t at = 0; at < size; at += PAGE) memcpy(store + at, &value, sizeof value);
}

/* Whether every record is that of one moment. */
static int is_all(const char* store, uint64_t size, uint64_t value) {
    for (uint64_t at = 0; at < size; at += PAGE)
        if (memcmp(store + at, &value, sizeof value) != 0) return 0;
    return 1;
}

static void save_by_snapshot(uint64_t size) {
    const uint64_t at = new_memory(size);
    char* store = view(NULL, at, size, PROT_READ | PROT_WRITE);
    put_all(store, size, 1);
    const long before = page_tables();
    const uint64_t begin = now_us();
    const uint64_t moment =
        call("snapshot", gpremap_snapshot, at, 0, size, GPREMAP_PROT_READ, GPREMAP_FLAG_ANYWHERE);
    const uint64_t pause = now_us() - begin;
    put_all(store, size, 2);
    const char* saved = view(NULL, moment, size, PROT_READ);
    if (!is_all(saved, size, 1) || !is_all(store, size, 2)) {
        printf("the snapshot is not of one moment\n");
        exit(1);
    }
    printf("snapshot: pause %llu us, page tables +%ld KiB\n", (unsigned long long)pause,
           page_tables() - before);
    call("unmap", gpremap_unmap, moment, size, 0, 0, 0);
    call("unmap", gpremap_unmap, at, size, 0, 0, 0);
}

static void save_by_fork(uint64_t size) {
    char* store = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status = 0;
    if (store == MAP_FAILED) fail("mmap", errno);
    put_all(store, size, 1);
    const uint64_t begin = now_us();
    const pid_t child = fork();
    if (child < 0) fail("fork", errno);
    if (child == 0) {
        printf("fork: page tables +%ld KiB\n", page_tables());
        fflush(stdout);
        _exit(is_all(store, size, 1) ? 0 : 1);
    }
    const uint64_t pause = now_us() - begin;
    put_all(store, size, 2);
    if (waitpid(child, &status, 0) != child || status != 0) {
        printf("the child's store is not of one moment\n");
        exit(1);
    }
    printf("fork: pause %llu us\n", (unsigned long long)pause);
    munmap(store, size);
}

int main(int argc, char** argv) {
    const uint64_t size = (argc > 1 ? strtoull(argv[1], NULL, 10) : 64) << 20;
    open_device();
    save_by_snapshot(size);
    save_by_fork(size);
    return 0;
}
