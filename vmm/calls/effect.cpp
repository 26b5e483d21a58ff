#include "vmm/calls/effect.h"

#include <fmt/format.h>

#include "vmm/base/units.h"

namespace gpremap {

uint64_t Operand::in(const Names& names) const {
    if (kind == Kind::number) return offset;
    const NamedRange* named = names.find(range);
    if (!named) place.fail(fmt::format("no earlier step defines a range '{}'", range));
    if (kind == Kind::address_of) return named->at + offset;
    if (offset > named->size)
        place.fail(fmt::format("the offset {} is behind the end of '{}', which has {}", format_size(offset),
                               range, format_size(named->size)));
    return named->size - offset;
}

uint64_t predicted_result(const CallAction& call, const Names& names, uint64_t otherwise) {
    if (call.destination) return call.destination->in(names);
    bool stays = call.source && (call.number == abi::Call::grow || call.number == abi::Call::shrink ||
                                 call.number == abi::Call::linux_mremap);
    return stays && call.effect == Effect::relocates ? call.source->at.in(names) : otherwise;
}

void follow_call(const CallAction& call, uint64_t result, Names& names) {
    uint64_t new_size = call.new_size.in(names);
    uint64_t source = call.source ? call.source->at.in(names) : 0;
    uint64_t size = call.source ? call.source->size.in(names) : 0;
    switch (call.effect) {
        case Effect::none:
            return;
        case Effect::defines: {
            NamedRange range{result, new_size};
            // Stamps of a duplicate count on from where its source stood in the range that it is of.
            if (call.source && call.source->at.kind == Operand::Kind::address_of)
                range.first_page =
                    names.find(call.source->at.range)->first_page + call.source->at.offset / 4096;
            names.define(call.name, range);
            return;
        }
        case Effect::relocates:
            if (call.number == abi::Call::utek_mremap) result = call.destination->in(names);
            names.relocate(source, size, result, new_size);
            return;
        case Effect::unmaps:
            names.unmap(source, size);
            return;
        case Effect::exchanges:
            names.exchange(source, call.destination->in(names), size);
            return;
    }
}

}  // namespace gpremap
