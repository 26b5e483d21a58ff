#include "vmm/cases/divergences.h"

#include <algorithm>
#include <array>

#include "guest/abi/agent.h"

namespace gpremap {

namespace {

using Mappings = std::span<const LinuxMapping>;

constexpr uint64_t page = 4096;
constexpr uint64_t huge_page = 2ull << 20;
constexpr uint64_t address_space_end = 1ull << 47;  // of a process that asks for no more

// As the kernel rounds lengths; one that wraps becomes 0, which it then refuses.
uint64_t round_up(uint64_t size, uint64_t unit) {
    return (size + unit - 1) & ~(unit - 1);
}

const LinuxMapping* mapping_at(Mappings mappings, uint64_t address) {
    for (const LinuxMapping& mapping : mappings)
        if (mapping.begin <= address && address < mapping.end) return &mapping;
    return nullptr;
}

bool meets(const LinuxMapping& mapping, uint64_t begin, uint64_t size) {
    return mapping.begin < begin + size && begin < mapping.end;
}

bool any_sealed(Mappings mappings, uint64_t begin, uint64_t size) {
    return std::ranges::any_of(
        mappings, [&](const LinuxMapping& mapping) { return mapping.sealed && meets(mapping, begin, size); });
}

bool any_mapped(Mappings mappings, uint64_t begin, uint64_t size) {
    return std::ranges::any_of(mappings,
                               [&](const LinuxMapping& mapping) { return meets(mapping, begin, size); });
}

// A move of whole mappings, which since 6.17 may be several with gaps between them.
bool is_fixed_move(const LinuxRemap& call) {
    return (call.flags & GPREMAP_LINUX_MREMAP_FIXED) != 0 &&
           round_up(call.old_size, page) == round_up(call.new_size, page);
}

// The kernel moves one mapping after the other, and asks of each whether it is sealed, source and
// destination, only when its turn has come.
bool partial_move(const LinuxRemap& call, Mappings before) {
    const LinuxMapping* first = mapping_at(before, call.old);
    if (!is_fixed_move(call) || first == nullptr || first->sealed) return false;
    const uint64_t size = round_up(call.old_size, page);
    if (first->end - call.old >= size) return false;
    const uint64_t done = first->end - call.old;
    if (any_sealed(before, call.to, done)) return false;  // refused before anything moved
    return any_sealed(before, first->end, size - done) || any_sealed(before, call.to + done, size - done);
}

// A shrinking move unmaps the destination first, then finds the tail of its source sealed, or past the end
// of the address space.
bool late_failure(const LinuxRemap& call, Mappings before) {
    const LinuxMapping* source = mapping_at(before, call.old);
    const uint64_t old_size = round_up(call.old_size, page);
    const uint64_t new_size = round_up(call.new_size, page);
    if ((call.flags & GPREMAP_LINUX_MREMAP_FIXED) == 0 || new_size >= old_size) return false;
    if (source == nullptr || source->sealed) return false;
    const bool past_the_end = old_size > address_space_end - call.old;
    return (past_the_end || any_sealed(before, call.old + new_size, old_size - new_size)) &&
           any_mapped(before, call.to, new_size);
}

bool duplicate_onto_itself(const LinuxRemap& call, Mappings before) {
    const LinuxMapping* source = mapping_at(before, call.old);
    return (call.flags & GPREMAP_LINUX_MREMAP_FIXED) != 0 && call.old_size == 0 && call.to == call.old &&
           source != nullptr && source->shared && !source->sealed;
}

bool stale_under_gaps(const LinuxRemap& call, Mappings before) {
    if (!is_fixed_move(call) || mapping_at(before, call.old) == nullptr) return false;
    const uint64_t size = round_up(call.old_size, page);
    uint64_t at = call.old;
    for (const LinuxMapping& mapping : before) {
        if (!meets(mapping, call.old, size)) continue;
        if (mapping.begin > at && any_mapped(before, call.to + (at - call.old), mapping.begin - at))
            return true;
        at = mapping.end;
    }
    const uint64_t end = call.old + size;
    return at < end && any_mapped(before, call.to + (at - call.old), end - at);
}

bool grows_huge(const LinuxRemap& call, Mappings before) {
    const LinuxMapping* source = mapping_at(before, call.old);
    return source != nullptr && source->huge &&
           round_up(call.new_size, huge_page) > round_up(call.old_size, huge_page);
}

bool leaves_huge(const LinuxRemap& call, Mappings before) {
    const LinuxMapping* source = mapping_at(before, call.old);
    return source != nullptr && source->huge && (call.flags & GPREMAP_LINUX_MREMAP_DONTUNMAP) != 0;
}

// The tail of the result would show what the object behind a shared mapping holds there.
bool shows_object(const LinuxRemap& call, Mappings before) {
    const LinuxMapping* source = mapping_at(before, call.old);
    if (source == nullptr || !source->shared) return false;
    // What a duplicate itself replaces is no longer there to be duplicated.
    const bool cut_short =
        (call.flags & GPREMAP_LINUX_MREMAP_FIXED) != 0 && call.to > call.old && call.to < source->end;
    const uint64_t end = cut_short ? call.to : source->end;
    const uint64_t held = call.old_size == 0 ? end - call.old : round_up(call.old_size, page);
    return round_up(call.new_size, page) > held;
}

constexpr std::array<Divergence, 7> table = {{
    {"partial-move", "a multi-extent move that fails in the middle leaves the first extents moved",
     "nothing moved", partial_move},
    {"late-failure", "a FIXED move that fails late has already unmapped the destination",
     "destination intact", late_failure},
    {"duplicate-onto-itself", "a FIXED duplicate onto itself destroys the source page, then EFAULT",
     "EINVAL, nothing changed", duplicate_onto_itself},
    {"stale-under-gaps", "the destination under source gaps keeps stale pages",
     "the destination is replaced whole", stale_under_gaps},
    {"huge-grow", "a grow of huge pages is EINVAL", "allowed in whole granules", grows_huge},
    {"huge-dontunmap", "DONTUNMAP of huge pages is EINVAL", "allowed in whole granules", leaves_huge},
    {"shared-object",
     "a shared mapping's object comes back when the mapping regrows, and SIGBUS lies past its end",
     "there is no object beyond the mappings: the tail reads zero", shows_object},
}};

}  // namespace

std::span<const Divergence> divergences() {
    return table;
}

const Divergence* divergence_of(const LinuxRemap& call, std::span<const LinuxMapping> before) {
    const auto found = std::ranges::find_if(
        table, [&](const Divergence& divergence) { return divergence.applies(call, before); });
    return found != table.end() ? &*found : nullptr;
}

}  // namespace gpremap
