// The warm pool of pages of the backing object. Its lanes are runs of offsets that no extent maps; they are mapped in the
// pool, too, so that they can be zeroed. Nothing moves: what has been zeroed is offered to whoever hands out offsets, and
// what is taken away stays where it is.
//
//     object   [ of remap::Store ................ ) 2^62 [ of the pool, where nothing was freed yet .... )
//                [guest][ kept ][guest]                    [ kept ][guest][ kept ]
#pragma once

#include <cstdint>

#include "remap/store.h"
#include "vmm/hostmemory/backing_object.h"
#include "vmm/memory/warm_pool.h"

namespace gpremap {

class ObjectPool final : public Pool {
  public:
    // `capacity`: bytes, a multiple of `unit`, which no page of the object is larger than. Full when it returns. `object` must
    // outlive it. Throws HostLacks.
    ObjectPool(const BackingObject& object, uint64_t capacity, uint64_t unit, PoolCleaner cleaner);
    ~ObjectPool() override { lanes_.stop(); }

    // What a plan that is made now may use.
    remap::Store::Offer offer();
    // These pages, some of which may have been offered, are the guest's from now on. Returns how many bytes had been.
    uint64_t take(const remap::ObjectRange& pages);

    // Pages that no extent maps any more: the pool keeps as many as it has room for, and the others go to the host.
    // Returns the errno of a host call that failed; then none has gone, and none is kept. Throws std::system_error where
    // some have gone before one failed that must not.
    int free(HostCalls& calls, const remap::ObjectRange& pages);
    void take_back(HostCalls& calls) override;

    uint64_t resident_bytes() const override;
    // Bytes that the object has in use otherwise.
    uint64_t allocated_elsewhere() const;

  private:
    uint64_t keep(HostCalls& calls, uint64_t start, uint64_t size);
    void forget(uint64_t start, uint64_t size);
    bool map(const Lane& lane);
    bool open(Lane& lane) override;
    void zero(std::byte* at) override;
    bool fetch(Lane& lane) override;

    const BackingObject& object_;
    uint64_t next_offset_;  // of what is fetched
};

}  // namespace gpremap
