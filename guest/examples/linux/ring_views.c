/*
 * A ring buffer of two views: the same memory twice, side by side, so that what crosses the end is in one piece. Here the second
 * view is an alias of guest-physical memory, and the process maps both with one mmap.
 *
 *     guest-physical   [ 0 1 2 3 4 5 6 7 ][ 0 1 2 3 4 5 6 7 ]
 *                                   [ a record ]
 *
 *     ring_views [RECORDS]    writes and reads so many records, and compares each
 */
#include "guest/examples/linux/aperture.h"

#define RING UINT64_C(0x200000)
#define RECORD 4095 /* it shares no divisor with the ring, so it crosses the end everywhere */

int main(int argc, char** argv) {
    const unsigned long records = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
    char written[RECORD];
    uint64_t crossed = 0, position = 0;

    open_device();
    /* Room for both first, so that the alias has its place. */
    const uint64_t ring = new_memory(2 * RING);
    call("alias", gpremap_alias, ring, ring + RING, RING, GPREMAP_PROT_PREVIOUS, GPREMAP_FLAG_REPLACE);
    char* seen = view(NULL, ring, 2 * RING, PROT_READ | PROT_WRITE);

    for (unsigned long i = 0; i < records; i++) {
        for (int byte = 0; byte < RECORD; byte++) written[byte] = (char)(i * 31 + (unsigned)byte);
        memcpy(seen + position, written, RECORD);
        crossed += position + RECORD > RING;
        position = (position + RECORD) % RING;
        /* The last byte, through the view in which it lies from the start. */
        if (seen[(position + RING - 1) % RING] != written[RECORD - 1]) {
            printf("record %lu is not the same in both views\n", i);
            return 1;
        }
    }
    printf("%lu records, %llu of them across the end\n", records, (unsigned long long)crossed);
    call("unmap", gpremap_unmap, ring, 2 * RING, 0, 0, 0);
    return 0;
}
