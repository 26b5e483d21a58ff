// SPDX-License-Identifier: GPL-2.0
/*
 * A thread of the kernel that counts in guest-physical memory, as device_test.c's processes do: a word with locked instructions,
 * which others may count in, too, and one of its own with plain ones. From when the module is loaded until it is removed.
 */
#include <linux/atomic.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/module.h>

static ulong at; /* guest-physical, a page that is always mapped; the shared word is its first */
module_param(at, ulong, 0444);
static ulong own; /* bytes from `at` to the word of its own */
module_param(own, ulong, 0444);
static ulong made; /* how often it has counted, in each */
module_param(made, ulong, 0444);

static struct task_struct *writer;
static char *memory;

/* The plain increment is one instruction, which reads and writes the same memory wherever that is. */
static int count(void *unused)
{
	while (!kthread_should_stop()) {
		atomic64_inc((atomic64_t *)memory);
		asm volatile("incq %0" : "+m"(*(u64 *)(memory + own)));
		WRITE_ONCE(made, made + 1);
		if (made % 4096 == 0)
			cond_resched();
	}
	return 0;
}

static int __init begin(void)
{
	memory = memremap(at, PAGE_SIZE, MEMREMAP_WB);
	if (!memory)
		return -ENOMEM;
	writer = kthread_run(count, NULL, "kernel_writer");
	if (!IS_ERR(writer))
		return 0;
	memunmap(memory);
	return PTR_ERR(writer);
}

static void __exit end(void)
{
	kthread_stop(writer);
	pr_info("kernel_writer: %lu increments\n", made);
	memunmap(memory);
}

module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("counts in guest-physical memory, for a test of gpremap");
MODULE_LICENSE("GPL");
