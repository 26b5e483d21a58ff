// What remap/stage2 needs to know of this host to predict how a space will be mapped: which slots KVM has,
// and how large the pages under them are, or can be.
#pragma once

#include <algorithm>
#include <vector>

#include "remap/space.h"
#include "remap/stage2/prediction.h"
#include "vmm/hostmemory/backing_object.h"

namespace gpremap {

class Vm;

// The largest pages that each kind of memory can be made of.
struct BackingPages {
    remap::Size anon = remap::kib4;
    remap::Size object = remap::kib4;
    remap::Size cow = remap::kib4;

    remap::Size of(remap::MemoryKind kind) const;
    remap::Size largest() const { return std::max({anon, object, cow}); }
};

// As the host is set now: whether anonymous memory that asks for huge pages gets them.
BackingPages backing_pages(const BackingObject& object);

// What is mapped in `range`, and around it as far as the backing's largest page reaches, as it can be once
// all of it has been touched. In order. What allows no access is not mapped.
std::vector<remap::stage2::Piece> possible_pieces(const remap::Space& space, const Vm& vm,
                                                  const BackingPages& backing, const remap::Range& range);

// What is mapped in `range` and present on the host, in pages as large as they are there. In order. Throws
// HostLacks.
std::vector<remap::stage2::Piece> resident_pieces(const remap::Space& space, const Vm& vm,
                                                  const BackingPages& backing, const remap::Range& range);

// The same of the agent's own memory, which no space has.
std::vector<remap::stage2::Piece> resident_agent_pieces(const Vm& vm);

}  // namespace gpremap
