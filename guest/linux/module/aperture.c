// The aperture in a process: an entry for what the VMM says is there, made when it is touched, with 2 MiB where they fit.
#include <linux/minmax.h>
#include <linux/pfn_t.h>
#include <linux/sched.h>

#include "guest/linux/module/module.h"

// As many pages around one that is touched are mapped with it: asking costs more than an entry.
#define AROUND UINT64_C(0x10000)

// x86 gives a page of a process the caching that a mapping of the kernel has reserved for its address, and none at all without.
static void *held_aperture, *held_agent;

int gpremap_hold_caching(void) {
    held_aperture = memremap(gpremap.world.aperture_base, gpremap.world.aperture_size, MEMREMAP_WB);
    held_agent = memremap(gpremap.world.agent_base, gpremap.world.agent_size, MEMREMAP_WB);
    if (held_aperture && held_agent) return 0;
    gpremap_release_caching();
    return -ENOMEM;
}

void gpremap_release_caching(void) {
    if (held_aperture) memunmap(held_aperture);
    if (held_agent) memunmap(held_agent);
}

// The extent at `at`, clipped to the naturally aligned `span` around it; its prot is 0 in a hole.
static struct gpremap_extent_info extent_at(uint64_t at, uint64_t span) {
    const uint64_t from = at & ~(span - 1);
    struct gpremap_extent_info *extents = (void*)__get_free_page(GFP_KERNEL), found = {};
    const uint64_t capacity = PAGE_SIZE / sizeof *extents;
    int64_t count;

    if (!extents) return found;
    count = gpremap_hypercall(gpremap_query, from, span, virt_to_phys(extents), capacity, 0, 0);
    for (int64_t i = 0; i < min(count, (int64_t)capacity); i++)
        if (at - extents[i].at < extents[i].size) found = extents[i];
    free_page((unsigned long)extents);
    return found;
}

// What a mapping shows of the extent. At stage 2 all that is mapped with any right can be read.
static bool is_shown(const struct vm_fault* vmf, const struct gpremap_extent_info* extent) {
    const uint64_t at = (uint64_t)vmf->pgoff << PAGE_SHIFT;
    if (extent->prot == 0 || gpremap_is_plugged((struct gpremap_range){at, at + PAGE_SIZE})) return false;
    if ((vmf->vma->vm_flags & VM_EXEC) && !(extent->prot & GPREMAP_PROT_EXEC)) return false;
    return !(vmf->flags & FAULT_FLAG_WRITE) || (extent->prot & GPREMAP_PROT_WRITE);
}

static vm_fault_t refuse(void) {
    atomic64_inc(&gpremap.refused_faults);
    return VM_FAULT_SIGBUS;
}

// An entry of 2 MiB, with `lock` held; VM_FAULT_FALLBACK where none fits. Who holds the lock at the same time comes to the same for
// as long as the place is empty, so no table gets there meanwhile. Where there is one already, it stays until the mapping goes.
static vm_fault_t insert_huge(struct vm_fault* vmf) {
    struct vm_area_struct* vma = vmf->vma;
    const uint64_t start = vmf->address & PMD_MASK, at = (uint64_t)vmf->pgoff << PAGE_SHIFT;
    const uint64_t from = at & PMD_MASK;
    const pmd_t now = pmdp_get_lockless(vmf->pmd);
    struct gpremap_extent_info extent;
    vm_fault_t result;

    if (!pmd_none(now) && !pmd_trans_huge(now)) return VM_FAULT_FALLBACK;
    if (start < vma->vm_start || start + PMD_SIZE > vma->vm_end ||
        ((at ^ vmf->address) & ~PMD_MASK & PAGE_MASK))
        return VM_FAULT_FALLBACK;
    // With more extents than extent_at looks at, there is none that fills it.
    extent = extent_at(at, max(gpremap.granule, (uint64_t)PMD_SIZE));
    if (extent.at > from || extent.at + extent.size < from + PMD_SIZE || !is_shown(vmf, &extent))
        return VM_FAULT_FALLBACK;
    result = vmf_insert_pfn_pmd(vmf, phys_to_pfn_t(from, 0), (extent.prot & GPREMAP_PROT_WRITE) != 0);
    if (result == VM_FAULT_NOPAGE) atomic64_inc(&gpremap.huge_faults);
    return result;
}

static vm_fault_t huge_fault(struct vm_fault* vmf, unsigned int order) {
    vm_fault_t result = VM_FAULT_FALLBACK;
    if (order != PMD_ORDER) return result;
    down_read(&gpremap.lock);
    result = insert_huge(vmf);
    up_read(&gpremap.lock);
    return result;
}

// The page that was touched first; of the others around it what is of the same extent and mapping.
static vm_fault_t insert(struct vm_fault* vmf, const struct gpremap_extent_info* extent) {
    struct vm_area_struct* vma = vmf->vma;
    const uint64_t at = (uint64_t)vmf->pgoff << PAGE_SHIFT, first = (uint64_t)vma->vm_pgoff << PAGE_SHIFT;
    const uint64_t size = vma->vm_end - vma->vm_start, around = at & ~(AROUND - 1);
    const uint64_t from = max3(around, extent->at, first);
    const uint64_t end = min3(around + AROUND, extent->at + extent->size, first + size);
    const pgprot_t prot =
        vm_get_page_prot(extent->prot & GPREMAP_PROT_WRITE ? vma->vm_flags : vma->vm_flags & ~VM_WRITE);
    const vm_fault_t result = vmf_insert_pfn_prot(vma, vmf->address & PAGE_MASK, at >> PAGE_SHIFT, prot);

    if (result != VM_FAULT_NOPAGE) return result;
    for (uint64_t page = from; page < end; page += PAGE_SIZE)
        if (page != at) vmf_insert_pfn_prot(vma, vma->vm_start + (page - first), page >> PAGE_SHIFT, prot);
    atomic64_inc(&gpremap.small_faults);
    return result;
}

// What is at the page that was touched, and around it.
static struct gpremap_extent_info extent_touched(const struct vm_fault* vmf) {
    return extent_at((uint64_t)vmf->pgoff << PAGE_SHIFT, max(gpremap.granule, AROUND));
}

// The kernel has asked for 2 MiB before, as a rule; a call may have been made since.
static vm_fault_t fault(struct vm_fault* vmf) {
    struct gpremap_extent_info extent;
    vm_fault_t result;

    down_read(&gpremap.lock);
    result = insert_huge(vmf);
    if (result == VM_FAULT_FALLBACK) {
        extent = extent_touched(vmf);
        result = is_shown(vmf, &extent) ? insert(vmf, &extent) : refuse();
    }
    up_read(&gpremap.lock);
    return result;
}

// A write where the entry says that there may be none.
static vm_fault_t pfn_mkwrite(struct vm_fault* vmf) {
    struct gpremap_extent_info extent;
    vm_fault_t result;

    down_read(&gpremap.lock);
    extent = extent_touched(vmf);
    result = is_shown(vmf, &extent) ? 0 : refuse();
    up_read(&gpremap.lock);
    return result;
}

// Entries that are there would become executable, whatever the VMM says.
static int before_mprotect(struct vm_area_struct* vma, unsigned long start, unsigned long end,
                           unsigned long flags) {
    if (!(flags & VM_EXEC)) return 0;
    vma_start_write(vma);
    zap_vma_ptes(vma, start, end - start);
    return 0;
}

// With pfn_mkwrite, entries are read-only unless one says otherwise.
static const struct vm_operations_struct operations = {
    .fault = fault,
    .huge_fault = huge_fault,
    .pfn_mkwrite = pfn_mkwrite,
    .mprotect = before_mprotect,
};

int gpremap_mmap_aperture(struct vm_area_struct* vma) {
    const uint64_t at = (uint64_t)vma->vm_pgoff << PAGE_SHIFT, size = vma->vm_end - vma->vm_start;

    if (at + size < at || !gpremap_in_aperture(at) || !gpremap_in_aperture(at + size - 1)) return -ENXIO;
    if (!(vma->vm_flags & VM_SHARED)) return -EINVAL;
    vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP | VM_HUGEPAGE);
    vma->vm_ops = &operations;
    return 0;
}
