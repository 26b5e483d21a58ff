#include "tests/model/host/lockstep.h"

#include <algorithm>

#include "vmm/cases/divergences.h"

namespace host_oracle {
namespace {

using remap::Gpa;
using remap::Range;
using remap::Size;
using Kind = LinuxCall::Kind;

// The mappings of the model as the kernel would have them.
std::vector<remap::Extent> mappings_of(const remap::Space& space) {
    return space.mappings_in(space.aperture());
}

remap::Answer answer(const remap::Space& space, const LinuxCall& call) {
    namespace linux_calls = remap::linux_calls;
    uint64_t base = space.aperture().start().value, at = base + call.at;
    switch (call.kind) {
        case Kind::mremap:
            return linux_calls::mremap(space, at, call.len, call.new_len, call.flags, base + call.to);
        case Kind::mmap:
            return linux_calls::mmap(space, at, call.len, call.prot, call.flags);
        case Kind::munmap:
            return linux_calls::munmap(space, at, call.len);
        case Kind::mprotect:
            return linux_calls::mprotect(space, at, call.len, call.prot);
        case Kind::madvise:
            return linux_calls::madvise(space, at, call.len, call.flags);
        case Kind::mlock:
            return linux_calls::mlock(space, at, call.len);
        case Kind::munlock:
            return linux_calls::munlock(space, at, call.len);
        case Kind::mseal:
            return linux_calls::mseal(space, at, call.len, call.flags);
        case Kind::store:
            break;
    }
    return remap::fails(remap::Errno::enosys);
}

const gpremap::Divergence* divergence(const remap::Space& space, const LinuxCall& call) {
    std::vector<gpremap::LinuxMapping> before;
    for (const remap::Extent& mapping : mappings_of(space))
        before.push_back({mapping.range.start().value, mapping.range.end().value, mapping.attributes.shared,
                          mapping.attributes.sealed, false});
    uint64_t base = space.aperture().start().value;
    return gpremap::divergence_of({base + call.at, call.len, call.new_len, call.flags, base + call.to},
                                  before);
}

std::string outcome_text(int64_t value, uint64_t base) {
    if (value >= 0) return address_text(static_cast<uint64_t>(value) - base);
    return std::string(name_of(remap::Errno{-value})) + " (" + std::to_string(value) + ")";
}

// Neighbours with equal rights as one.
std::vector<HostMapping> without_seams(const std::vector<HostMapping>& mappings) {
    std::vector<HostMapping> found;
    for (const HostMapping& mapping : mappings) {
        bool joins = !found.empty() && found.back().end == mapping.begin &&
                     found.back().prot == mapping.prot && found.back().shared == mapping.shared;
        if (joins)
            found.back().end = mapping.end;
        else
            found.push_back(mapping);
    }
    return found;
}

bool returns_address(Kind kind) {
    return kind == Kind::mremap || kind == Kind::mmap;
}

// Calls that Linux applies to one mapping after the other, and that therefore stop half-way.
bool may_stop_half_way(Kind kind) {
    return kind == Kind::mprotect || kind == Kind::madvise || kind == Kind::mlock || kind == Kind::munlock;
}

}  // namespace

Lockstep::Lockstep(HostWindow& host, remap::FreshMemory fresh, Several several, uint64_t lock_limit)
    : host_(host),
      several_(several),
      space_(Range::of(Gpa{host.base()}, Size{aperture_pages * page}), remap::kib4, fresh,
             {.locked = Size{lock_limit * page}}),
      memory_(remap::kib4) {
    host_.limit_locked(lock_limit * page);
}

Lockstep::~Lockstep() {
    host_.clear();
}

Outcome Lockstep::make(const LinuxCall& call) {
    if (call.kind == Kind::store) return store(call);
    if (auto reason = reason_to_leave_out(call)) return {Outcome::Kind::left_out, *reason, {}};
    auto model = answer(space_, call);
    int64_t result = host_.make(call);
    std::string found = compare_results(call, model, result);
    if (!found.empty()) return {Outcome::Kind::different, {}, found};
    carry_out(call, model, result);
    if (!model && is_half_done(call)) return {Outcome::Kind::half_done, {}, {}};
    found = compare_state();
    if (!found.empty()) return {Outcome::Kind::different, {}, found};
    auto margin = Range::of(Gpa{host_.end() - largest_pages * page}, Size{largest_pages * page});
    return {space_.is_vacant(margin) ? Outcome::Kind::same : Outcome::Kind::full, {}, {}};
}

Outcome Lockstep::store(const LinuxCall& call) {
    uint64_t at = host_.base() + call.at;
    for (const HostMapping& mapping : host_.mappings()) {
        if (at < mapping.begin || at >= mapping.end || (mapping.shared && !(mapping.prot & 2))) continue;
        host_.write(at, ++last_value_, mapping);
        memory_.write(Gpa{at}, last_value_);
    }
    std::string found = compare_state();
    if (found.empty()) return {};
    return {Outcome::Kind::different, {}, found};
}

// A refused call changes nothing here; on Linux it may have been applied to the first mappings, or have left
// one of them in two.
bool Lockstep::is_half_done(const LinuxCall& call) {
    if (may_stop_half_way(call.kind)) return !compare_state().empty();
    auto host = host_.mappings();
    return compare_layout(host, Seams::compared) != compare_layout(host, Seams::ignored);
}

std::optional<std::string_view> Lockstep::reason_to_leave_out(const LinuxCall& call) const {
    if (call.kind != Kind::mremap) return std::nullopt;
    if (is_beyond_kernel(call)) return several_mappings;
    if (leaves_some_locked(call)) return leaves_locked;
    if (const auto* listed = divergence(space_, call)) return listed->id;
    if (joins_what_is_left(call)) return left_apart;
    return std::nullopt;
}

bool Lockstep::leaves_some_locked(const LinuxCall& call) const {
    if (!(call.flags & remap::linux_calls::mremap_dontunmap)) return false;
    auto source = Range::make(Gpa{host_.base() + call.at}, Size{remap::round_up(call.len, remap::kib4)});
    return source && space_.locked_in(*source) > Size{0};
}

// Whether something that stays behind becomes part of a larger mapping than it was.
bool Lockstep::joins_what_is_left(const LinuxCall& call) const {
    auto source = Range::make(Gpa{host_.base() + call.at}, Size{remap::round_up(call.len, remap::kib4)});
    if (!(call.flags & remap::linux_calls::mremap_dontunmap) || !source) return false;
    auto model = answer(space_, call);
    if (!model) return false;
    for (const remap::Extent& mapping : mappings_of(space_)) {
        auto left = mapping.range.intersection(*source);
        if (left && !mapping.range.contains(model->after.mapping_of(left->start()))) return true;
    }
    return false;
}

bool Lockstep::is_beyond_kernel(const LinuxCall& call) const {
    if (several_ == Several::moved) return false;
    Gpa at{host_.base() + call.at};
    return space_.find(at) && call.flags & remap::linux_calls::mremap_fixed &&
           space_.mapping_of(at).end().above(at).bytes < call.len;
}

std::string Lockstep::compare_results(const LinuxCall& call, const remap::Answer& model, int64_t host) {
    int64_t expected =
        model ? static_cast<int64_t>(model->result.value) : -static_cast<int64_t>(model.error());
    bool elsewhere =
        host > 0 && model && call.kind == Kind::mremap &&
        (static_cast<uint64_t>(host) < host_.base() || static_cast<uint64_t>(host) >= host_.end());
    if (elsewhere) {
        bool free_place =
            !(call.flags & remap::linux_calls::mremap_fixed) && model->result != Gpa{host_.base() + call.at};
        if (free_place) return "";
        return "the host's result is elsewhere, the model's at " + outcome_text(expected, host_.base());
    }
    if (!returns_address(call.kind) && model) expected = 0;
    if (expected == host) return "";
    return "the host returns " + outcome_text(host, host_.base()) + ", the model " +
           outcome_text(expected, host_.base());
}

void Lockstep::carry_out(const LinuxCall& call, const remap::Answer& model, int64_t host) {
    if (!model) return;
    for (const remap::Change& change : model->changes) memory_.apply(change);
    space_ = model->after;
    if (!returns_address(call.kind) || model->result.value == static_cast<uint64_t>(host)) return;
    uint64_t size = remap::round_up(call.new_len, remap::kib4);
    host_.bring_back(static_cast<uint64_t>(host), size, model->result.value);
}

// ---- what can be seen ----

std::string Lockstep::compare_state() {
    auto host = host_.mappings();
    std::string found = compare_layout(host, Seams::compared);
    if (found.empty()) found = compare_contents(host);
    if (found.empty()) found = compare_locked();
    if (found.empty()) touch_fresh_pages(host);
    return found;
}

std::string Lockstep::compare_layout(const std::vector<HostMapping>& host, Seams seams) const {
    std::vector<HostMapping> model;
    for (const remap::Extent& mapping : mappings_of(space_))
        model.push_back({mapping.range.start().value, mapping.range.end().value, mapping.prot.bits,
                         mapping.attributes.shared});
    if (model == host || (seams == Seams::ignored && without_seams(model) == without_seams(host))) return "";
    auto rows = [&](const std::vector<HostMapping>& mappings) {
        std::string row;
        for (const HostMapping& mapping : mappings)
            row += " [" + address_text(mapping.begin - host_.base()) + "," +
                   address_text(mapping.end - host_.base()) + ") prot " + std::to_string(mapping.prot) +
                   (mapping.shared ? " shared" : "");
        return row;
    };
    return "the host has" + rows(host) + ", the model" + rows(model);
}

std::string Lockstep::compare_locked() const {
    uint64_t host = host_.locked(), model = space_.locked().bytes;
    if (host == model) return "";
    return "the host has locked " + size_text(host) + " pages, the model " + size_text(model);
}

std::string Lockstep::compare_contents(const std::vector<HostMapping>& host) const {
    for (const HostMapping& mapping : host)
        for (uint64_t at = mapping.begin; at < mapping.end; at += page)
            if (memory_.read(Gpa{at}) != host_.read(at, mapping))
                return "other contents at " + address_text(at - host_.base());
    return "";
}

// The rule by which new memory joins its neighbours (space.cpp) takes every page as touched: a page that
// reads zero is not. Shared ones that may not be written can be left, the rule has no part in them.
void Lockstep::touch_fresh_pages(const std::vector<HostMapping>& host) {
    for (const HostMapping& mapping : host) {
        if (mapping.shared && !(mapping.prot & 2)) continue;
        for (uint64_t at = mapping.begin; at < mapping.end; at += page) {
            if (memory_.read(Gpa{at}) != 0) continue;
            host_.write(at, ++last_value_, mapping);
            memory_.write(Gpa{at}, last_value_);
        }
    }
}

// ---- for a person ----

std::string Lockstep::picture() const {
    std::string row;
    Gpa at{host_.base()};
    for (const remap::Extent& mapping : mappings_of(space_)) {
        row.append(mapping.range.start().above(at).bytes / page, '.');
        if (mapping.range.start() == at && at.value != host_.base()) row += '|';
        for (at = mapping.range.start(); at < mapping.range.end(); at = at.advanced(remap::kib4)) {
            uint64_t value = memory_.read(at).value_or(0);
            char letter =
                static_cast<char>((mapping.prot.allows(remap::writable) ? 'a' : 'A') + (value + 25) % 26);
            row += mapping.prot == remap::no_access ? '_' : value == 0 ? '0' : letter;
        }
    }
    if (at.value < host_.base() + window_pages * page)
        row.append((host_.base() + window_pages * page - at.value) / page, '.');
    return row;
}

std::string Lockstep::attributes() const {
    std::string row(window_pages, '-');
    for (const remap::Extent& mapping : mappings_of(space_))
        for (Gpa at = mapping.range.start(); at < mapping.range.end(); at = at.advanced(remap::kib4)) {
            uint64_t index = (at.value - host_.base()) / page;
            if (index >= row.size()) row.resize(index + 1, '-');
            row[index] = mapping.attributes.sealed   ? 'x'
                         : mapping.attributes.locked ? 'l'
                         : mapping.attributes.shared ? 's'
                                                     : '-';
        }
    return row;
}

}  // namespace host_oracle
