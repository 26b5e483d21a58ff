// What each bench measures, and beside what: one function each, which builds its own VM.
//
// Each throws HostLacks, std::system_error or std::runtime_error where the host does not give what the
// setting needs.
#pragma once

#include "vmm/bench/samples.h"

namespace gpremap {

// A move, by the guest's clock | the guest's memmove of as many bytes into touched memory.
BenchSamples bench_move(const BenchSetting& setting);
// A move, from exit to entry | the bare calls on memory that KVM has mapped for the guest, too. window:
// mremap and mmap; memslot: one KVM_SET_USER_MEMORY_REGION.
BenchSamples bench_overhead(const BenchSetting& setting);
// The same | mremap and mmap of memory that is in no slot.
BenchSamples bench_overhead_without_slot(const BenchSetting& setting);
// The guest reads a word of every page after a move | the same before it.
BenchSamples bench_retouch(const BenchSetting& setting);
// The move and that together | the guest's memmove into touched memory.
BenchSamples bench_move_and_reread(const BenchSetting& setting);
// A shrink of touched memory by that size, from exit to entry | madvise or fallocate alone.
BenchSamples bench_reclaim(const BenchSetting& setting);
// The same, to a warm pool that has room for all of it | madvise or fallocate alone.
BenchSamples bench_reclaim_to_pool(const BenchSetting& setting);
// A grow by that size and the first touch of every page, by the guest's clock | the same.
BenchSamples bench_install(const BenchSetting& setting);
// The same from a warm pool that has all of it | from the host.
BenchSamples bench_install_from_pool(const BenchSetting& setting);
// A duplicate, by the guest's clock | the guest's copy into touched memory. Not of anonymous memory.
BenchSamples bench_alias(const BenchSetting& setting);
// A move with `extents` in the map, by the guest's clock | the same with 10.
BenchSamples bench_scale(const BenchSetting& setting);
// A call that finds nothing to do, by the guest's clock | an exit that does nothing.
BenchSamples bench_hypercall(const BenchSetting& setting);
// The same through the ring | by an exit.
BenchSamples bench_ring(const BenchSetting& setting);
// A move through the ring, and reading one word of every page after it | the guest's memmove into touched memory.
BenchSamples bench_ring_move_and_reread(const BenchSetting& setting);
// The same for one of the GPREMAP_MAX_BATCH calls of a batch.
BenchSamples bench_batch(const BenchSetting& setting);
// The longest time between two writes of a second vCPU to other memory, while a range moves | the same in as
// long a time without a move. Two vCPUs.
BenchSamples bench_stall_elsewhere(const BenchSetting& setting);
// The same for writes to the range that moves.
BenchSamples bench_stall_in_range(const BenchSetting& setting);
// A map and an unmap of a page side by side with others, in batches of GPREMAP_MAX_BATCH | one by one.
BenchSamples bench_batched_maps(const BenchSetting& setting);

}  // namespace gpremap
