// System RAM that comes and goes: mapped in the aperture and added to the kernel's memory; or taken away, and unmapped.
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "guest/linux/module/module.h"

// One that is plugged. The module cannot be unloaded while there are any.
struct plugged {
    struct list_head link;
    struct gpremap_range range;
};

static DEFINE_MUTEX(one_at_a_time);  // plug or unplug
static LIST_HEAD(all_plugged);       // changed with gpremap.lock held for writing, too

// Memory comes and goes in as much, and is aligned to it.
static uint64_t block_size(void) {
    return max((uint64_t)memory_block_size_bytes(), gpremap.granule);
}

bool gpremap_is_plugged(struct gpremap_range range) {
    const struct plugged* plugged;
    list_for_each_entry(plugged, &all_plugged,
                        link) if (range.at < plugged->range.end && plugged->range.at < range.end) return true;
    return false;
}

ssize_t gpremap_list_plugged(char* text) {
    const struct plugged* plugged;
    ssize_t length = 0;
    mutex_lock(&one_at_a_time);
    list_for_each_entry(plugged, &all_plugged, link) length += sysfs_emit_at(
        text, length, "%#llx %llu\n", plugged->range.at, plugged->range.end - plugged->range.at);
    mutex_unlock(&one_at_a_time);
    return length;
}

// ---- plug ----

// The address, or -errno.
static int64_t map_at_the_top(uint64_t size) {
    const uint64_t rights = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE | GPREMAP_PROT_EXEC,
                   base = gpremap.world.aperture_base;
    uint64_t at = base + gpremap.world.aperture_size;

    if (size > gpremap.world.aperture_size) return -ENOSPC;
    for (at = round_down(at - size, block_size()); at >= base; at -= block_size()) {
        const int64_t result = gpremap_hypercall(gpremap_map, at, size, rights, 0, 0, 0);
        if (result != -EEXIST) return result;
    }
    return -ENOSPC;
}

static long map_plugged(struct plugged* plugged, uint64_t size) {
    int64_t at;
    down_write(&gpremap.lock);
    at = map_at_the_top(size);
    if (!gpremap_is_error(at)) {
        plugged->range = (struct gpremap_range){at, at + size};
        list_add_tail(&plugged->link, &all_plugged);
        __module_get(THIS_MODULE);
    }
    up_write(&gpremap.lock);
    return gpremap_is_error(at) ? at : 0;
}

// Unmaps the last `size` bytes of what the kernel uses no more. Where nothing else is left, `plugged` is freed.
static long unmap_end(struct plugged* plugged, uint64_t size) {
    long error;
    down_write(&gpremap.lock);
    plugged->range.end -= size;
    error = gpremap_hypercall(gpremap_unmap, plugged->range.end, size, 0, 0, 0, 0);
    if (plugged->range.at == plugged->range.end) {
        list_del(&plugged->link);
        kfree(plugged);
        module_put(THIS_MODULE);
    }
    up_write(&gpremap.lock);
    if (error) pr_err("gpremap: the VMM does not unmap what has been unplugged: %ld\n", error);
    return error;
}

// Block by block, as it will be removed: what is added at once, the kernel maps with a page of 1 GiB where that fits, and takes for
// a page table when a part of it is removed.
static long add_blocks(struct gpremap_range range, uint64_t* added) {
    const uint64_t block = block_size();
    for (uint64_t at = range.at; at < range.end; at += block) {
        const long error =
            add_memory_driver_managed(0, at, block, "System RAM (gpremap)", MHP_MERGE_RESOURCE);
        if (error) return error;
        *added += block;
    }
    return 0;
}

// Where it fails, the kernel has the block as before; or has given it up, and it is the VMM that does not take it.
static long take_last_block(struct plugged* plugged) {
    const uint64_t block = block_size();
    const long error = offline_and_remove_memory(plugged->range.end - block, block);
    return error ? error : unmap_end(plugged, block);
}

static long plug(uint64_t size, uint64_t* at) {
    struct plugged* plugged = kzalloc(sizeof *plugged, GFP_KERNEL);
    long error = plugged ? map_plugged(plugged, size) : -ENOMEM;
    uint64_t added = 0;
    if (error) {
        kfree(plugged);
        return error;
    }
    *at = plugged->range.at;
    error = add_blocks(plugged->range, &added);
    if (!error) return 0;
    unmap_end(plugged, size - added);
    // What the kernel uses by now, and does not give back, stays plugged.
    while (added && !take_last_block(plugged)) added -= block_size();
    return error;
}

long gpremap_plug(struct gpremap_plug* request) {
    long error;
    if (request->size == 0 || request->size % block_size()) return -EINVAL;
    mutex_lock(&one_at_a_time);
    error = plug(request->size, &request->at);
    mutex_unlock(&one_at_a_time);
    return error;
}

// ---- unplug ----

// Taking a block offline goes on until a signal comes, however little hope there is. So a thread does it, which can be sent one.
struct unplugging {
    struct plugged* plugged;
    uint64_t left;  // bytes
    uint64_t unplugged;
    long error;  // of the first block that could not be taken, or 0
    struct completion done;
};

static int take_blocks(void* argument) {
    struct unplugging* work = argument;
    const uint64_t block = block_size();

    allow_signal(SIGTERM);
    while (work->left) {
        work->error = take_last_block(work->plugged);
        if (work->error) break;
        work->left -= block;
        work->unplugged += block;
    }
    kthread_complete_and_exit(&work->done, 0);
}

// Returns when the thread has ended, which it does soon after the deadline.
static long take_until(struct unplugging* work, uint64_t milliseconds) {
    struct task_struct* thread = kthread_create(take_blocks, work, "gpremap unplug");
    const unsigned int limit = min(milliseconds, (uint64_t)INT_MAX);

    if (IS_ERR(thread)) return PTR_ERR(thread);
    get_task_struct(thread);
    wake_up_process(thread);
    if (!wait_for_completion_timeout(&work->done, msecs_to_jiffies(limit))) {
        send_sig(SIGTERM, thread, 1);
        wait_for_completion(&work->done);
    }
    put_task_struct(thread);
    if (work->unplugged) return 0;
    return work->error == -EINTR ? -ETIMEDOUT : work->error;
}

// What is asked for never reaches beyond a range: the kernel warns of memory that is not there, and says that it has gone.
static struct plugged* range_that_ends_with(const struct gpremap_unplug* request) {
    struct plugged* plugged;
    list_for_each_entry(plugged, &all_plugged,
                        link) if (request->at >= plugged->range.at && request->at < plugged->range.end &&
                                  request->size == plugged->range.end - request->at) return plugged;
    return NULL;
}

long gpremap_unplug(struct gpremap_unplug* request) {
    struct unplugging work = {.left = request->size};
    long error = -ENOENT;

    request->unplugged = 0;
    if (request->size == 0 || request->size % block_size() || request->at % block_size()) return -EINVAL;
    init_completion(&work.done);
    mutex_lock(&one_at_a_time);
    work.plugged = range_that_ends_with(request);
    if (work.plugged) error = take_until(&work, request->milliseconds);
    mutex_unlock(&one_at_a_time);
    request->unplugged = work.unplugged;
    return error;
}
