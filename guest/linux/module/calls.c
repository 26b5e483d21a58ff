// Calls of processes: what they may take away is zapped first, and what points to structures points to the kernel's memory.
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "guest/linux/module/module.h"

enum { takes_first = 1, takes_second = 2, takes_both = 3 };

// Which arguments of a call are addresses and lengths, and which of these ranges it may take away, move, or give other rights. A
// second range of length "argument 0" where the address is argument 0, too, is the first once more.
static const struct row {
    uint64_t number;
    unsigned char at, len, second_at, second_len, takes;
} rows[] = {
    {gpremap_map, 0, 1, 0, 1, takes_first},
    {gpremap_unmap, 0, 1, 0, 1, takes_first},
    {gpremap_move, 0, 2, 1, 2, takes_both},
    {gpremap_grow, 0, 1, 0, 1, takes_first},
    {gpremap_shrink, 0, 1, 0, 1, takes_first},
    {gpremap_alias, 0, 2, 1, 2, takes_second},
    {gpremap_protect, 0, 1, 0, 1, takes_first},
    {gpremap_release, 0, 1, 0, 1, 0},
    {gpremap_exchange, 0, 2, 1, 2, takes_both},
    {gpremap_snapshot, 0, 2, 1, 2, takes_second},
    {gpremap_seal, 0, 1, 0, 1, 0},
    {gpremap_lock, 0, 1, 0, 1, 0},
    {gpremap_unlock, 0, 1, 0, 1, 0},
    {gpremap_pin, 0, 1, 0, 1, 0},
    {gpremap_unpin, 0, 1, 0, 1, 0},
    {gpremap_linux_mremap, 0, 1, 4, 2, takes_both},
    {gpremap_linux_mmap, 0, 1, 0, 1, takes_first},
    {gpremap_linux_munmap, 0, 1, 0, 1, takes_first},
    {gpremap_linux_mprotect, 0, 1, 0, 1, takes_first},
    {gpremap_linux_madvise, 0, 1, 0, 1, 0},
    {gpremap_linux_mlock, 0, 1, 0, 1, 0},
    {gpremap_linux_munlock, 0, 1, 0, 1, 0},
    {gpremap_linux_mseal, 0, 1, 0, 1, 0},
    {gpremap_netbsd_mremap, 0, 1, 2, 3, takes_both},
    {gpremap_utek_mremap, 0, 2, 1, 2, takes_both},
};

static const struct row* row_of(uint64_t number) {
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].number == number) return &rows[i];
    return NULL;
}

// What of the aperture a call for [at, at + len) may reach, rounded as the VMM rounds; at >= end: nothing.
static struct gpremap_range reach(uint64_t at, uint64_t len) {
    const uint64_t base = gpremap.world.aperture_base, top = base + gpremap.world.aperture_size;
    struct gpremap_range range = {max(at, base) & ~(gpremap.granule - 1), top};
    if (at >= top || at + len < at) return range;
    range.end = min(round_up(at + len, gpremap.granule), top);
    return range;
}

// Entries that are made anew at the next access cost little, so whatever may be taken goes, whether the call succeeds or not.
void gpremap_zap(struct gpremap_range range) {
    if (range.at >= range.end || !gpremap.inode) return;
    unmap_mapping_range(gpremap.inode->i_mapping, range.at, range.end - range.at, 0);
    atomic64_inc(&gpremap.zaps);
}

// Zaps what a call may take. false: it is about RAM that the kernel uses.
static bool prepare(const struct gpremap_batch_call* call) {
    const struct row* row = row_of(call->number);
    struct gpremap_range first, second;
    if (!row) {
        gpremap_zap(reach(0, U64_MAX));
        return true;
    }
    first = reach(call->arg[row->at], call->arg[row->len]);
    second = reach(call->arg[row->second_at], call->arg[row->second_len]);
    if (gpremap_is_plugged(first) || gpremap_is_plugged(second)) return false;
    if (row->takes & takes_first) gpremap_zap(first);
    if (row->takes & takes_second) gpremap_zap(second);
    return true;
}

static int64_t hypercall(const struct gpremap_batch_call* call) {
    const uint64_t* arg = call->arg;
    atomic64_inc(&gpremap.calls);
    return gpremap_hypercall(call->number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

static int64_t query(struct gpremap_batch_call call) {
    void __user* buffer = u64_to_user_ptr(call.arg[2]);
    const uint64_t capacity = call.arg[3];
    struct gpremap_extent_info* extents;
    int64_t count;

    if (capacity > KMALLOC_MAX_SIZE / sizeof *extents) return -ENOMEM;
    extents = kcalloc(max(capacity, UINT64_C(1)), sizeof *extents, GFP_KERNEL | __GFP_NOWARN);
    if (!extents) return -ENOMEM;
    call.arg[2] = virt_to_phys(extents);
    count = hypercall(&call);
    if (count > 0 && copy_to_user(buffer, extents, min((uint64_t)count, capacity) * sizeof *extents))
        count = -EFAULT;
    kfree(extents);
    return count;
}

static int64_t make_batch(struct gpremap_batch_call* batch, struct gpremap_batch_call* calls,
                          uint64_t count) {
    int64_t result = -EBUSY;
    bool allowed = true;
    batch->arg[0] = virt_to_phys(calls);
    down_write(&gpremap.lock);
    for (uint64_t i = 0; i < count && allowed; i++) allowed = prepare(&calls[i]);
    if (allowed) result = hypercall(batch);
    up_write(&gpremap.lock);
    return result;
}

// The calls are read once: what is zapped is what is made.
static int64_t batch(struct gpremap_batch_call call) {
    void __user* user = u64_to_user_ptr(call.arg[0]);
    const uint64_t count = call.arg[1];
    struct gpremap_batch_call* calls;
    int64_t result;

    if (count == 0 || count > GPREMAP_MAX_BATCH) return -EINVAL;
    calls = kmalloc_array(count, sizeof *calls, GFP_KERNEL);
    if (!calls) return -ENOMEM;
    if (copy_from_user(calls, user, count * sizeof *calls)) {
        kfree(calls);
        return -EFAULT;
    }
    result = make_batch(&call, calls, count);
    if (result == 0 && copy_to_user(user, calls, count * sizeof *calls)) result = -EFAULT;
    kfree(calls);
    return result;
}

int64_t gpremap_make_call(struct gpremap_batch_call* call) {
    int64_t result = -EBUSY;
    if (call->number == gpremap_query) return query(*call);
    if (call->number == gpremap_batch) return batch(*call);
    down_write(&gpremap.lock);
    if (prepare(call)) result = hypercall(call);
    up_write(&gpremap.lock);
    return result;
}
