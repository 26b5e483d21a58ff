// gpremap.ko: a Linux guest's way to the calls of its VM. gpremap.h is what programs see of it, module.h how it is made.
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "guest/linux/module/module.h"

struct gpremap gpremap = {.lock = __RWSEM_INITIALIZER(gpremap.lock)};

// ---- the device ----

// Every node of the device has an inode; one of them has the mappings of all, so that zapping finds them.
static int device_open(struct inode* inode, struct file* file) {
    down_write(&gpremap.lock);
    if (!gpremap.inode) {
        ihold(inode);
        gpremap.inode = inode;
    }
    up_write(&gpremap.lock);
    file->f_mapping = gpremap.inode->i_mapping;
    return 0;
}

static int device_release(struct inode* inode, struct file* file) {
    gpremap_forget_agent(file);
    return 0;
}

static int device_mmap(struct file* file, struct vm_area_struct* vma) {
    if (gpremap_in_aperture((uint64_t)vma->vm_pgoff << PAGE_SHIFT)) return gpremap_mmap_aperture(vma);
    return gpremap_mmap_agent(file, vma);
}

// What a process hands over and is handed back.
union request {
    struct gpremap_batch_call call;
    struct gpremap_agent_call agent;
    struct gpremap_plug plug;
    struct gpremap_unplug unplug;
};

static long perform(struct file* file, unsigned int command, union request* request) {
    switch (command) {
        case GPREMAP_IOC_CALL:
            if (request->call.number < gpremap_map) return -EINVAL;
            request->call.result = gpremap_make_call(&request->call);
            return 0;
        case GPREMAP_IOC_AGENT:
            return gpremap_agent_call(file, &request->agent);
        case GPREMAP_IOC_PLUG:
            return gpremap_plug(&request->plug);
        case GPREMAP_IOC_UNPLUG:
            return gpremap_unplug(&request->unplug);
    }
    return -ENOTTY;
}

static long device_ioctl(struct file* file, unsigned int command, unsigned long argument) {
    void __user* user = (void __user*)argument;
    const size_t size = _IOC_SIZE(command);
    union request request;
    long error;

    if (command == GPREMAP_IOC_WORLD)
        return copy_to_user(user, &gpremap.world, sizeof gpremap.world) ? -EFAULT : 0;
    if (_IOC_TYPE(command) != 'g' || size > sizeof request) return -ENOTTY;
    if (copy_from_user(&request, user, size)) return -EFAULT;
    error = perform(file, command, &request);
    if (!error && copy_to_user(user, &request, size)) error = -EFAULT;
    return error;
}

static const struct file_operations operations = {
    .owner = THIS_MODULE,
    .open = device_open,
    .release = device_release,
    .mmap = device_mmap,
    .get_unmapped_area = thp_get_unmapped_area,
    .unlocked_ioctl = device_ioctl,
};

// ---- /sys/class/misc/gpremap ----

#define COUNT(name)                                                                                  \
    static ssize_t name##_show(struct device* device, struct device_attribute* unused, char* text) { \
        return sysfs_emit(text, "%lld\n", atomic64_read(&gpremap.name));                             \
    }                                                                                                \
    static DEVICE_ATTR_RO(name)

COUNT(small_faults);
COUNT(huge_faults);
COUNT(refused_faults);
COUNT(zaps);
COUNT(calls);
COUNT(interrupts);

static ssize_t plugged_show(struct device* device, struct device_attribute* unused, char* text) {
    return gpremap_list_plugged(text);
}
static DEVICE_ATTR_RO(plugged);

static struct attribute* gpremap_attrs[] = {
    &dev_attr_small_faults.attr,   &dev_attr_huge_faults.attr,
    &dev_attr_refused_faults.attr, &dev_attr_zaps.attr,
    &dev_attr_calls.attr,          &dev_attr_interrupts.attr,
    &dev_attr_plugged.attr,        NULL,
};
ATTRIBUTE_GROUPS(gpremap);

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "gpremap",
    .mode = 0600,
    .fops = &operations,
    .groups = gpremap_groups,
};

// ---- loading ----

// Anywhere else than in a VM of gpremap the port does not answer: then rax is what it was. `page` is for what the VMM writes.
static int learn_world(void* page) {
    const int64_t result = gpremap_hypercall(gpremap_world, virt_to_phys(page), 0, 0, 0, 0, 0);

    BUILD_BUG_ON(sizeof gpremap.world > PAGE_SIZE);
    memcpy(&gpremap.world, page, sizeof gpremap.world);
    if (result == 0 && gpremap.world.aperture_size) return 0;
    pr_err("gpremap: this is no Linux guest of gpremap: the hypercall `world` came to %lld\n", result);
    return -ENODEV;
}

// The least that a query may be about.
static int learn_granule(void* page) {
    static const uint64_t sizes[] = {4096, 2 << 20, 1 << 30};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        gpremap.granule = sizes[i];
        if (!gpremap_is_error(gpremap_hypercall(gpremap_query, gpremap.world.aperture_base, sizes[i],
                                                virt_to_phys(page), 0, 0, 0)))
            return 0;
    }
    pr_err("gpremap: the VMM does not say what is in the aperture\n");
    return -ENODEV;
}

static int learn(void) {
    void* page = (void*)get_zeroed_page(GFP_KERNEL);
    int error;
    if (!page) return -ENOMEM;
    error = learn_world(page);
    if (!error) error = learn_granule(page);
    free_page((unsigned long)page);
    return error;
}

static int __init gpremap_init(void) {
    int error = learn();
    if (error) return error;
    error = gpremap_hold_caching();
    if (error) return error;
    error = gpremap_begin_interrupts();
    if (error) goto release_caching;
    error = misc_register(&device);
    if (error) goto end_interrupts;
    return 0;

end_interrupts:
    gpremap_end_interrupts();
release_caching:
    gpremap_release_caching();
    return error;
}

static void __exit gpremap_exit(void) {
    misc_deregister(&device);
    gpremap_end_interrupts();
    gpremap_release_caching();
    if (gpremap.inode) iput(gpremap.inode);
}

module_init(gpremap_init);
module_exit(gpremap_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Calls of a gpremap VM, and the memory that they remap");
