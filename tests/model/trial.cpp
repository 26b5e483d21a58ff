#include "tests/model/trial.h"

#include <cstdio>
#include <cstdlib>

#include "tests/model/agreement.h"

namespace oracle {

using remap::Gpa;
using remap::Size;

namespace {

std::string outcome(std::optional<remap::Errno> error) {
    return error ? std::string(name_of(*error)) : "success";
}

}  // namespace

Trial::Trial(uint64_t base, Size granule, size_t slots, remap::FreshMemory fresh)
    : space_(remap::Range::of(Gpa{base}, Size{slots * granule.bytes}), granule, fresh, {}),
      memory_(granule),
      oracle_(base, granule.bytes, slots) {}

Call Trial::with_addresses(Kind kind, size_t at, size_t to, size_t len) const {
    Call call{kind, oracle_.address(at), oracle_.address(to), len * space_.granule().bytes};
    if (kind == Kind::map) call.prot = remap::read_write.bits;
    if (kind == Kind::alias || kind == Kind::snapshot) call.prot = remap::native::prot_previous;
    return call;
}

std::string Trial::make(const Call& call) {
    auto answer = plan(space_, call);
    Verdict verdict = oracle_.judge(call);
    auto error = answer ? std::nullopt : std::optional(answer.error());
    if (error != verdict.error) return outcome(error) + " instead of " + outcome(verdict.error);
    return answer ? carry_out(call, *answer, verdict) : "";
}

std::string Trial::check(const Call& call) const {
    auto answer = plan(space_, call);
    Verdict verdict = oracle_.judge(call);
    auto error = answer ? std::nullopt : std::optional(answer.error());
    if (error != verdict.error) return outcome(error) + " instead of " + outcome(verdict.error);
    if (!answer) return "";
    Trial copy = *this;
    std::string found = copy.carry_out(call, *answer, verdict);
    return found.empty() ? copy.check_writes() : found;
}

std::string Trial::carry_out(const Call& call, const remap::Plan& plan, const Verdict& verdict) {
    size_t at = verdict.at.value_or(0);
    if (verdict.at && plan.result != Gpa{oracle_.address(at)}) return "the result is elsewhere";
    if (verdict.anywhere) {
        if (!space_.aperture().contains(plan.result)) return "the result is outside";
        at = oracle_.index(plan.result.value);
        size_t count = (call.kind == Kind::grow ? call.new_len : call.len) / space_.granule().bytes;
        if (!oracle_.is_vacant(at, count)) return "the result is not where it was free";
    }
    for (const remap::Change& change : plan.changes) memory_.apply(change);
    space_ = plan.after;
    oracle_.apply(call, at);
    return difference();
}

std::string Trial::difference() const {
    for (size_t index = 0; index < oracle_.size(); ++index) {
        std::string found = slot_difference(index);
        if (!found.empty()) return found + " at granule " + std::to_string(index);
    }
    return disagreement(space_, memory_);
}

std::string Trial::slot_difference(size_t index) const {
    Gpa at{oracle_.address(index)};
    const Slot& slot = oracle_.slot(index);
    const remap::Extent* extent = space_.find(at);
    if ((extent != nullptr) != slot.mapped) return slot.mapped ? "nothing is mapped" : "something is mapped";
    if (!extent) return "";
    if (extent->prot.bits != slot.prot) return "other rights";
    if (extent->attributes != slot.attributes) return "other attributes";
    if (memory_.read(at) != oracle_.read(index)) return "other contents";
    for (size_t other = 0; other < index; ++other) {
        if (!oracle_.slot(other).mapped) continue;
        if (memory_.is_same(at, Gpa{oracle_.address(other)}) != (slot.page == oracle_.slot(other).page))
            return "not one memory where it should be, or the reverse,";
    }
    return "";
}

std::string Trial::check_writes() const {
    Trial copy = *this;
    for (size_t index = 0; index < oracle_.size(); ++index) {
        if (!oracle_.slot(index).mapped) continue;
        copy.write(index, 1000 + index);
        for (size_t other = 0; other < oracle_.size(); ++other)
            if (oracle_.slot(other).mapped &&
                copy.memory_.read(Gpa{oracle_.address(other)}) != copy.oracle_.read(other))
                return "a write to granule " + std::to_string(index) + " is seen otherwise at " +
                       std::to_string(other);
    }
    return "";
}

void Trial::must(const Call& call) {
    std::string found = plan(space_, call) ? make(call) : "refused";
    if (found.empty()) return;
    std::fprintf(stderr, "layout: %s: %s\n", text(call, oracle_.address(0), space_.granule().bytes).c_str(),
                 found.c_str());
    std::abort();
}

void Trial::write(size_t slot, uint64_t value) {
    memory_.write(Gpa{oracle_.address(slot)}, value);
    oracle_.write(slot, value);
}

void Trial::limit_to_used(size_t more_pages, size_t more_locked) {
    auto beyond = [](size_t used, size_t more) { return more == SIZE_MAX ? SIZE_MAX : used + more; };
    Limits limits{beyond(oracle_.pages(), more_pages), beyond(oracle_.locked(), more_locked)};
    oracle_.set_limits(limits);
    auto bytes = [&](size_t granules) {
        return Size{granules == SIZE_MAX ? UINT64_MAX : granules * space_.granule().bytes};
    };
    space_.set_limits({bytes(limits.pages), bytes(limits.locked)});
}

}  // namespace oracle
