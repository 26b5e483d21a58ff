/* What the examples have in common: the device, calls that have to succeed, and a view of guest-physical memory. */
#ifndef GPREMAP_GUEST_EXAMPLES_LINUX_APERTURE_H
#define GPREMAP_GUEST_EXAMPLES_LINUX_APERTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/linux/module/gpremap.h"

static int device = -1;

static inline void fail(const char* what, int error) {
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

static inline void open_device(void) {
    device = open(GPREMAP_DEVICE, O_RDWR);
    if (device < 0) fail("opening " GPREMAP_DEVICE, errno);
}

/* The result of a call, which succeeds. */
static inline uint64_t call(const char* what, uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2,
                            uint64_t a3, uint64_t a4) {
    const int64_t result = gpremap_device_call(device, number, a0, a1, a2, a3, a4, 0);
    if (result < 0 && result >= -4095) fail(what, (int)-result);
    return (uint64_t)result;
}

/* `size` bytes of new guest-physical memory: where. */
static inline uint64_t new_memory(uint64_t size) {
    return call("map", gpremap_map, 0, size, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, GPREMAP_FLAG_ANYWHERE,
                0);
}

/* Guest-physical memory at an address of this process; anywhere where `place` is NULL. */
static inline char* view(void* place, uint64_t at, uint64_t size, int protection) {
    char* seen = mmap(place, size, protection, MAP_SHARED | (place ? MAP_FIXED : 0), device, (off_t)at);
    if (seen == MAP_FAILED) fail("mmap", errno);
    return seen;
}

#endif
