// The host's side of a workload's area (guest/abi/workload.h): writes what the workload is to do, reads what it has
// measured, while it runs. What is read there is the guest's word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "guest/abi/workload.h"
#include "vmm/memory/caller.h"
#include "vmm/workloads/histogram.h"
#include "vmm/workloads/workload.h"

namespace gpremap {

class WorkloadArea {
  public:
    // `memory` is the guest's own.
    WorkloadArea(CallerMemory& memory, unsigned vcpu);

    // Before the workload begins: clears the area and states what it is to do.
    void prepare(const Workload& workload, uint32_t tsc_khz);

    // The place, once the workload has begun, too; a size of 0 takes it away. Not while a vCPU may change it.
    void put_place(uint64_t at, uint64_t size);
    // Whether the workload has let go of all places but the last.
    bool has_seen_place() const;
    void stop();
    // Takes that back, for what begins now.
    void go_on();
    // Of a workload that has ended by stop(), before it begins once more, on `pages` of its range: what it knew of
    // memory is forgotten, and it has no operations to catch up with. What it has measured stays.
    void begin_again(uint64_t pages);

    uint64_t operations() const;
    // All but the histograms and rings. Texts in it end with a zero.
    gpremap_workload state() const;
    Counts quiet() const;
    Counts beside() const;

    template <typename Row>
    struct Drained {
        std::vector<Row> rows;  // those that have come since the last time
        uint64_t lost = 0;      // that the ring had no room for
    };
    Drained<gpremap_sample> new_samples();
    Drained<gpremap_event> new_events();

  private:
    uint64_t word(std::size_t offset) const;
    void set_word(std::size_t offset, uint64_t value);
    void read(std::size_t offset, void* to, std::size_t size) const;
    void write(std::size_t offset, const void* from, std::size_t size);
    Counts counts(std::size_t offset) const;
    template <typename Row>
    Drained<Row> drain(std::size_t ring, std::size_t capacity, std::size_t head, uint64_t& seen);

    CallerMemory& memory_;
    const uint64_t base_;  // of the area
    uint64_t samples_seen_ = 0;
    uint64_t events_seen_ = 0;
};

}  // namespace gpremap
