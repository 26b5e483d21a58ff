// The agent's side: its memory, its control calls, and the interrupt that tells that there is a step.
#include <linux/acpi.h>
#include <linux/interrupt.h>
#include <linux/smp.h>
#include <linux/wait.h>

#include "guest/linux/module/module.h"

// A lost interrupt costs as much.
#define LONGEST_WAIT (HZ / 10)

static struct file* agent;  // whose process is the agent, or NULL
static DECLARE_WAIT_QUEUE_HEAD(waiting);
static int irq;

static irqreturn_t handle_interrupt(int number, void* unused) {
    atomic64_inc(&gpremap.interrupts);
    wake_up_all(&waiting);
    return IRQ_HANDLED;
}

int gpremap_begin_interrupts(void) {
    int error;
    irq = acpi_register_gsi(NULL, GPREMAP_LINUX_IRQ, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);
    if (irq < 0) return irq;
    error = request_irq(irq, handle_interrupt, 0, "gpremap", &gpremap);
    if (error) acpi_unregister_gsi(GPREMAP_LINUX_IRQ);
    return error;
}

void gpremap_end_interrupts(void) {
    free_irq(irq, &gpremap);
    acpi_unregister_gsi(GPREMAP_LINUX_IRQ);
}

static bool is_agent(struct file* file) {
    struct file* before = cmpxchg(&agent, NULL, file);
    return before == NULL || before == file;
}

void gpremap_forget_agent(struct file* file) {
    cmpxchg(&agent, file, NULL);
}

// The VMM takes the processor that makes the call for the vCPU that is meant.
static long call_on_vcpu(struct gpremap_agent_call* request) {
    const uint64_t* arg = request->call.arg;
    const bool is_there = get_cpu() == request->vcpu;
    if (is_there)
        request->call.result =
            gpremap_hypercall(request->call.number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    put_cpu();
    return is_there ? 0 : -EXDEV;
}

// An interrupt between the call and the wait has been counted, and ends the wait.
static long wait_for_step(struct gpremap_agent_call* request) {
    for (;;) {
        const s64 before = atomic64_read(&gpremap.interrupts);
        long error = call_on_vcpu(request);
        if (error || request->call.result != -EAGAIN) return error;
        error = wait_event_interruptible_timeout(waiting, atomic64_read(&gpremap.interrupts) != before,
                                                 LONGEST_WAIT);
        if (error < 0) return -EINTR;
    }
}

long gpremap_agent_call(struct file* file, struct gpremap_agent_call* request) {
    if (request->call.number >= gpremap_map || request->call.number == gpremap_world) return -EINVAL;
    if (!is_agent(file)) return -EBUSY;
    return request->call.number == gpremap_next ? wait_for_step(request) : call_on_vcpu(request);
}

int gpremap_mmap_agent(struct file* file, struct vm_area_struct* vma) {
    const uint64_t at = (uint64_t)vma->vm_pgoff << PAGE_SHIFT, size = vma->vm_end - vma->vm_start;
    const uint64_t base = gpremap.world.agent_base;

    if (at < base || size > gpremap.world.agent_size || at - base > gpremap.world.agent_size - size)
        return -ENXIO;
    if (!(vma->vm_flags & VM_SHARED)) return -EINVAL;
    if (!is_agent(file)) return -EBUSY;
    return remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, size, vma->vm_page_prot);
}
