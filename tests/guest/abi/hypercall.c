/* The header alone, in C. What both languages make of it is compared. */
#include "guest/abi/hypercall.h"

#include <stddef.h>

#define GPREMAP_CALL(name, number) number,
static const uint64_t numbers[] = {GPREMAP_CALLS(GPREMAP_CALL)};
#undef GPREMAP_CALL

/* Of the calls, of struct gpremap_extent_info, of struct gpremap_batch_call and of its result. */
uint64_t sum_in_c(void);
uint64_t sum_in_c(void) {
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) sum = sum * 31 + numbers[i];
    sum = sum * 31 + gpremap_map + (uint64_t)gpremap_utek_mremap;
    sum = sum * 31 + sizeof(struct gpremap_extent_info);
    sum = sum * 31 + sizeof(struct gpremap_batch_call);
    return sum * 31 + offsetof(struct gpremap_batch_call, result);
}
