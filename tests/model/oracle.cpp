#include "tests/model/oracle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <set>

namespace oracle {

namespace flag = remap::native::flag;
using remap::Attributes;
using remap::Errno;

remap::Answer plan(const remap::Space& space, const Call& call) {
    namespace native = remap::native;
    using native::Value, native::Which;
    auto set = [&](Which which, Value value) {
        return native::set_attribute(space, call.at, call.len, which, value);
    };
    switch (call.kind) {
        case Kind::map:
            return native::map(space, call.at, call.len, call.prot, call.flags);
        case Kind::unmap:
            return native::unmap(space, call.at, call.len);
        case Kind::move:
            return native::move(space, call.at, call.to, call.len, call.flags);
        case Kind::grow:
            return native::grow(space, call.at, call.len, call.new_len, call.flags);
        case Kind::shrink:
            return native::shrink(space, call.at, call.len, call.new_len);
        case Kind::alias:
            return native::alias(space, call.at, call.to, call.len, call.prot, call.flags);
        case Kind::snapshot:
            return native::snapshot(space, call.at, call.to, call.len, call.prot, call.flags);
        case Kind::exchange:
            return native::exchange(space, call.at, call.to, call.len);
        case Kind::protect:
            return native::protect(space, call.at, call.len, call.prot);
        case Kind::release:
            return native::release(space, call.at, call.len);
        case Kind::lock:
            return set(Which::locked, Value::on);
        case Kind::unlock:
            return set(Which::locked, Value::off);
        case Kind::pin:
            return set(Which::pinned, Value::on);
        case Kind::unpin:
            return set(Which::pinned, Value::off);
        case Kind::seal:
            return set(Which::sealed, Value::on);
    }
    return remap::fails(Errno::enosys);
}

std::string text(const Call& call, uint64_t base, uint64_t granule) {
    constexpr std::array names = {"map",   "unmap",    "move",     "grow",    "shrink",
                                  "alias", "snapshot", "exchange", "protect", "release",
                                  "lock",  "unlock",   "pin",      "unpin",   "seal"};
    auto granules = [&](uint64_t bytes) {
        return std::to_string(static_cast<int64_t>(bytes) / static_cast<int64_t>(granule));
    };
    return std::string(names[static_cast<size_t>(call.kind)]) + " at=" + granules(call.at - base) +
           " to=" + granules(call.to - base) + " len=" + granules(call.len) +
           " new_len=" + granules(call.new_len) + " prot=" + std::to_string(call.prot) +
           " flags=" + std::to_string(call.flags);
}

struct Oracle::Facts {
    std::vector<Run> source;     // must be mapped
    bool one_is_enough = false;  // of the source
    Slots bound_by_seals = 0;  // mapped slots that must not be sealed: the source, and what it would replace
    Slots leaving = 0;         // mapped slots whose page would go elsewhere, or be given back
    Slots in_the_way = 0;      // mapped slots at the destination that do not leave it themselves
    bool may_replace = false;
    bool meets_itself = false;  // what stays where it is can not be replaced by its own duplicate
    std::optional<size_t> at;   // of the result; none: anywhere
    size_t count = 0;           // of the result
    bool no_room = false;
    size_t locks = 0;  // slots that become locked
};

namespace {

bool is_anywhere(const Call& call) {
    return call.flags & flag::anywhere;
}
bool is_hint(const Call& call) {
    return call.flags & flag::hint;
}

bool has_destination(Kind kind) {
    return kind == Kind::move || kind == Kind::alias || kind == Kind::snapshot;
}

uint64_t known_flags(Kind kind) {
    uint64_t policies = flag::anywhere | flag::hint | flag::replace;
    if (kind == Kind::map) return policies | flag::shared;
    if (kind == Kind::move) return policies | flag::keep_holes;
    if (kind == Kind::alias || kind == Kind::snapshot) return policies;
    if (kind == Kind::grow) return flag::may_move;
    return 0;
}

bool is_bad_prot(const Call& call) {
    if (call.prot <= remap::all_prot_bits) return false;
    bool can_keep = call.kind == Kind::alias || call.kind == Kind::snapshot;
    return !can_keep || call.prot != remap::native::prot_previous;
}

bool overlap(uint64_t a, uint64_t b, uint64_t len) {
    return a < b ? b - a < len : a - b < len;
}

}  // namespace

// ---- EINVAL and ERANGE ----

bool Oracle::is_range(uint64_t at, uint64_t len) const {
    return at % granule_ == 0 && len % granule_ == 0 && len != 0 && len <= UINT64_MAX - at;
}

bool Oracle::is_malformed(const Call& call) const {
    if (call.flags & ~known_flags(call.kind)) return true;
    if (is_anywhere(call) + is_hint(call) + ((call.flags & flag::replace) != 0) > 1) return true;
    if (is_bad_prot(call)) return true;
    bool fixed = !is_anywhere(call) && !is_hint(call);
    if (call.kind == Kind::map) {
        if (call.len == 0 || call.len % granule_ != 0) return true;
        if (is_hint(call)) return call.at % granule_ != 0;
        return fixed && !is_range(call.at, call.len);
    }
    if (!is_range(call.at, call.len)) return true;
    if (call.kind == Kind::grow) return !is_range(call.at, call.new_len) || call.new_len < call.len;
    if (call.kind == Kind::shrink) return !is_range(call.at, call.new_len) || call.new_len > call.len;
    if (call.kind == Kind::exchange)
        return !is_range(call.to, call.len) || overlap(call.at, call.to, call.len);
    if (!has_destination(call.kind) || is_anywhere(call)) return false;
    return is_hint(call) ? call.to % granule_ != 0 : !is_range(call.to, call.len);
}

bool Oracle::leaves_aperture(uint64_t at, uint64_t len) const {
    uint64_t size = slots_.size() * granule_;
    return at < base_ || at - base_ > size || len > size - (at - base_);
}

bool Oracle::is_outside(const Call& call) const {
    bool fixed = !is_anywhere(call) && !is_hint(call);
    if (call.kind == Kind::map) return fixed && leaves_aperture(call.at, call.len);
    if (leaves_aperture(call.at, call.len)) return true;
    if (call.kind == Kind::grow && !(call.flags & flag::may_move))
        return leaves_aperture(call.at, call.new_len);
    if (call.kind == Kind::exchange) return leaves_aperture(call.to, call.len);
    return has_destination(call.kind) && fixed && leaves_aperture(call.to, call.len);
}

// ---- what a call is about ----

Oracle::Slots Oracle::mapped_in(const Run& run) const {
    Slots found = 0;
    for (size_t index = run.at; index < run.at + run.count && index < slots_.size(); ++index)
        if (slots_[index].mapped) found |= Slots{1} << index;
    return found;
}

// Every slot that shows one of the range's pages.
Oracle::Slots Oracle::views_of(const Run& run) const {
    Slots found = 0, range = mapped_in(run);
    for (size_t index = 0; index < slots_.size(); ++index)
        for (size_t other = 0; other < slots_.size(); ++other)
            if (slots_[index].mapped && range >> other & 1 && slots_[other].page == slots_[index].page)
                found |= Slots{1} << index;
    return found;
}

bool Oracle::is_mapped(const Run& run) const {
    return static_cast<size_t>(std::popcount(mapped_in(run))) == run.count;
}

bool Oracle::is_vacant(size_t at, size_t count) const {
    if (at > slots_.size() || count > slots_.size() - at) return false;
    for (size_t index = at; index < at + count; ++index)
        if (slots_[index].mapped) return false;
    return true;
}

bool Oracle::has_room(size_t count) const {
    for (size_t at = 0; at < slots_.size(); ++at)
        if (is_vacant(at, count)) return true;
    return false;
}

// Where the result of a call with a destination goes.
void Oracle::put_in_place(const Call& call, size_t count, Facts& facts) const {
    uint64_t wanted = call.kind == Kind::map ? call.at : call.to;
    facts.count = count;
    facts.may_replace = call.flags & flag::replace;
    bool hint_is_free =
        is_hint(call) && !leaves_aperture(wanted, count * granule_) && is_vacant(index(wanted), count);
    if (hint_is_free || (!is_hint(call) && !is_anywhere(call)))
        facts.at = index(wanted);
    else
        facts.no_room = !has_room(count);
}

void Oracle::describe_map(const Call& call, Facts& facts) const {
    put_in_place(call, call.len / granule_, facts);
    if (facts.at) facts.in_the_way |= mapped_in({*facts.at, facts.count});
}

void Oracle::describe_transfer(const Call& call, Facts& facts) const {
    Run source = run(call.at, call.len);
    facts.source = {source};
    facts.one_is_enough = call.flags & flag::keep_holes;
    put_in_place(call, source.count, facts);
    facts.bound_by_seals |= mapped_in(source);
    bool stays = call.kind == Kind::move && facts.at == source.at;
    if (stays) return;
    if (call.kind != Kind::alias) facts.leaving |= mapped_in(source);
    if (facts.at) facts.in_the_way |= mapped_in({*facts.at, facts.count});
    if (call.kind == Kind::move)
        facts.in_the_way &= ~mapped_in(source);
    else
        facts.meets_itself = facts.at && overlap(*facts.at, source.at, source.count);
}

void Oracle::describe_resize(const Call& call, Facts& facts) const {
    Run source = run(call.at, call.len), wanted = run(call.at, call.new_len);
    facts.source = {source};
    facts.count = wanted.count;
    facts.bound_by_seals |= mapped_in(source);
    if (wanted.count < source.count)
        facts.leaving |= mapped_in({source.at + wanted.count, source.count - wanted.count});
    facts.at = source.at;
    if (wanted.count <= source.count) return;
    size_t last = source.at + source.count - 1, growth = wanted.count - source.count;
    if (last < slots_.size() && slots_[last].attributes.locked) facts.locks = growth;
    if (is_vacant(source.at + source.count, growth)) return;
    facts.no_room = true;
    if (!(call.flags & flag::may_move)) return;
    facts.at.reset();
    facts.no_room = !has_room(wanted.count);
    facts.leaving |= mapped_in(source);
}

void Oracle::describe_change(const Call& call, Facts& facts) const {
    Run range = run(call.at, call.len);
    facts.source = {range};
    if (call.kind == Kind::exchange) facts.source.push_back(run(call.to, call.len));
    bool moves = call.kind == Kind::exchange || call.kind == Kind::unmap || call.kind == Kind::release;
    for (const Run& each : facts.source) {
        if (call.kind != Kind::seal) facts.bound_by_seals |= mapped_in(each);
        if (moves) facts.leaving |= mapped_in(each);
    }
    if (call.kind == Kind::release) facts.leaving |= views_of(range);
    if (call.kind == Kind::lock)
        facts.locks =
            range.count - static_cast<size_t>(std::popcount(mapped_in(range) & with(&Attributes::locked)));
}

Oracle::Facts Oracle::facts_of(const Call& call) const {
    Facts facts;
    if (call.kind == Kind::map)
        describe_map(call, facts);
    else if (has_destination(call.kind))
        describe_transfer(call, facts);
    else if (call.kind == Kind::grow || call.kind == Kind::shrink)
        describe_resize(call, facts);
    else
        describe_change(call, facts);
    facts.bound_by_seals |= facts.in_the_way;
    facts.leaving |= facts.in_the_way;
    return facts;
}

// ---- the one order ----

size_t Oracle::pages() const {
    std::set<size_t> pages;
    for (const Slot& slot : slots_)
        if (slot.mapped) pages.insert(slot.page);
    return pages.size();
}

size_t Oracle::locked() const {
    return static_cast<size_t>(std::popcount(with(&Attributes::locked)));
}

Oracle::Slots Oracle::with(bool Attributes::*attribute) const {
    Slots found = 0;
    for (size_t index = 0; index < slots_.size(); ++index)
        if (slots_[index].attributes.*attribute) found |= Slots{1} << index;
    return found;
}

// Found by doing it on a copy: a free place for the result is as good as any other.
size_t Oracle::pages_after(const Call& call, const Facts& facts) const {
    Oracle copy = *this;
    size_t at = 0;
    if (facts.at)
        at = *facts.at;
    else
        while (facts.count && !is_vacant(at, facts.count)) ++at;
    copy.apply(call, at);
    return copy.pages();
}

std::optional<Errno> Oracle::refusal(const Call& call, const Facts& facts) const {
    for (const Run& run : facts.source) {
        bool has_some = !is_vacant(run.at, run.count);
        if (facts.one_is_enough ? !has_some : !is_mapped(run)) return Errno::efault;
    }
    if (facts.bound_by_seals & with(&Attributes::sealed)) return Errno::eperm;
    if (facts.leaving & with(&Attributes::pinned)) return Errno::eagain;
    if (facts.locks > 0 && locked() + facts.locks > limits_.locked) return Errno::eagain;
    if (facts.in_the_way && !facts.may_replace) return Errno::eexist;
    if (facts.meets_itself) return Errno::eexist;
    if (facts.no_room) return Errno::enomem;
    if (limits_.pages == SIZE_MAX) return std::nullopt;
    size_t after = pages_after(call, facts);
    if (after > limits_.pages && after > pages()) return Errno::enomem;
    return std::nullopt;
}

Verdict Oracle::judge(const Call& call) const {
    if (is_malformed(call)) return {Errno::einval, {}};
    if (is_outside(call)) return {Errno::erange, {}};
    Facts facts = facts_of(call);
    if (auto error = refusal(call, facts)) return {error, {}};
    return {std::nullopt, facts.at, facts.count > 0 && !facts.at};
}

// ---- what it does ----

Slot Oracle::fresh(uint8_t prot, const Attributes& attributes, uint64_t value) {
    contents_.push_back(value);
    return {true, contents_.size() - 1, prot, attributes};
}

void Oracle::move(const Run& from, size_t to) {
    if (from.at == to) return;
    std::vector<Slot> moving(slots_.begin() + static_cast<ptrdiff_t>(from.at),
                             slots_.begin() + static_cast<ptrdiff_t>(from.at + from.count));
    for (size_t i = 0; i < from.count; ++i) slots_[from.at + i] = {};
    for (size_t i = 0; i < from.count; ++i) slots_[to + i] = moving[i];
}

void Oracle::apply(const Call& call, size_t at) {
    size_t count = call.len / granule_, wanted = call.new_len / granule_;
    size_t from = call.kind == Kind::map ? at : index(call.at);
    auto prot = static_cast<uint8_t>(call.prot);
    bool keeps_prot = call.prot == remap::native::prot_previous;
    if (call.kind == Kind::move) move({from, count}, at);
    if (call.kind == Kind::grow && at != from) move({from, count}, at);
    for (size_t i = count; call.kind == Kind::grow && i < wanted; ++i) {
        Attributes like_last = slots_[at + count - 1].attributes;
        like_last.pinned = false;
        slots_[at + i] = fresh(slots_[at + count - 1].prot, like_last, 0);
    }
    for (size_t i = wanted; call.kind == Kind::shrink && i < count; ++i) slots_[from + i] = {};
    for (size_t i = 0; i < count; ++i) {
        Slot& slot = slots_[from + i];
        switch (call.kind) {
            case Kind::map: {
                Attributes attributes;
                attributes.shared = call.flags & flag::shared;
                slot = fresh(prot, attributes, 0);
                break;
            }
            case Kind::unmap:
                slot = {};
                break;
            case Kind::alias:
                slots_[at + i] = slot;
                slots_[at + i].attributes.locked = slots_[at + i].attributes.pinned = false;
                if (!keeps_prot) slots_[at + i].prot = prot;
                break;
            case Kind::snapshot:
                slots_[at + i] = fresh(keeps_prot ? slot.prot : prot, {}, contents_[slot.page]);
                break;
            case Kind::exchange:
                std::swap(slot, slots_[index(call.to) + i]);
                break;
            case Kind::protect:
                slot.prot = prot;
                break;
            case Kind::release:
                contents_[slot.page] = 0;
                break;
            case Kind::lock:
            case Kind::unlock:
                slot.attributes.locked = call.kind == Kind::lock;
                break;
            case Kind::pin:
            case Kind::unpin:
                slot.attributes.pinned = call.kind == Kind::pin;
                break;
            case Kind::seal:
                slot.attributes.sealed = true;
                break;
            case Kind::move:
            case Kind::grow:
            case Kind::shrink:
                break;
        }
    }
}

}  // namespace oracle
