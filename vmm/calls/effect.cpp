#include "vmm/calls/effect.h"

#include <fmt/format.h>

#include "vmm/base/units.h"

namespace gpremap {

namespace {

const CallRow& row_of(const CallAction& call) {
    return *find_call(call.number);
}

// The bits that flags are part of are numbers in every file.
uint64_t flags_of(const CallAction& call) {
    std::vector<uint64_t> values;
    for (const Argument& argument : call.args) values.push_back(argument.value.offset);
    return row_of(call).flags(values);
}

}  // namespace

uint64_t Operand::in(const Names& names) const {
    const uint64_t distance = offset + static_cast<uint64_t>(granules) * names.granule();
    if (kind == Kind::number) return distance;
    const NamedRange* named = names.find(range);
    if (!named) place.fail(fmt::format("no earlier step defines a range '{}'", range));
    if (kind == Kind::address_of) return named->at + distance;
    if (offset > named->size)
        place.fail(fmt::format("the offset {} is behind the end of '{}', which has {}", format_size(offset),
                               range, format_size(named->size)));
    const uint64_t size = named->size - offset;
    if (more < 0 && size < 0 - static_cast<uint64_t>(more))
        place.fail(fmt::format("'{}' has {} here, which cannot get smaller by {}", range, format_size(size),
                               format_size(0 - static_cast<uint64_t>(more))));
    return size + static_cast<uint64_t>(more);
}

uint64_t predicted_result(const CallAction& call, const Names& names, uint64_t otherwise) {
    if (call.destination) return call.destination->in(names);
    bool may_stay = row_of(call).stays_without && call.effect == Effect::relocates;
    return may_stay ? call.source->at.in(names) : otherwise;
}

uint64_t place_of_result(const CallAction& call, uint64_t result, const Names& names) {
    return row_of(call).returns_address ? result : call.destination->in(names);
}

bool chooses_address(const CallAction& call) {
    bool places = call.effect == Effect::defines || call.effect == Effect::relocates;
    const auto& stays_without = row_of(call).stays_without;
    bool stays = stays_without && (flags_of(call) & *stays_without) == 0;
    return places && !stays && !call.destination;
}

std::string moving_name(const CallAction& call) {
    return call.effect == Effect::defines ? call.name : call.source->at.range;
}

void follow_call(const CallAction& call, uint64_t result, const Names& before, Names& names) {
    uint64_t new_size = call.new_size.in(before);
    uint64_t source = call.source ? call.source->at.in(before) : 0;
    uint64_t size = call.source ? call.source->size.in(before) : 0;
    switch (call.effect) {
        case Effect::none:
            return;
        case Effect::defines: {
            NamedRange range{result, new_size};
            // Stamps of a duplicate count on from where its source stood in the range that it is of.
            if (call.source && call.source->at.kind == Operand::Kind::address_of)
                range.first_page =
                    before.find(call.source->at.range)->first_page + call.source->at.offset / 4096;
            names.define(call.name, range);
            return;
        }
        case Effect::relocates:
            names.relocate(source, size, place_of_result(call, result, before), new_size);
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
