#include "vmm/memory/beside_call.h"

#include <algorithm>
#include <variant>

#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

// What a vCPU wrote to new memory that has replaced other would be lost if a later change failed.
bool replaces_memory(const std::vector<remap::Change>& changes, const remap::Space& before) {
    return std::any_of(changes.begin(), changes.end(), [&](const remap::Change& change) {
        const auto* map = std::get_if<remap::change::Map>(&change);
        return map && !before.is_vacant(map->range);
    });
}

bool copies(const std::vector<remap::Change>& changes) {
    return std::any_of(changes.begin(), changes.end(), [](const remap::Change& change) {
        return std::holds_alternative<remap::change::Copy>(change) ||
               std::holds_alternative<remap::change::Snapshot>(change);
    });
}

}  // namespace

// Why no vCPU may run while the changes are made; nothing where they may.
const char* reason_to_pause(const std::vector<remap::Change>& changes, const remap::Space& before,
                            Mechanism mechanism) {
    if (mechanism == Mechanism::memslot) return "an access to a slot that moves would be lost";
    if (copies(changes)) return "a copy of what others write meanwhile would be of no moment in particular";
    if (replaces_memory(changes, before)) return "what others write to memory that is replaced could be lost";
    return nullptr;
}

// Why others had better run on, however often their TLBs are flushed: a pause would last as long as this.
const char* reason_to_run_on(const std::vector<remap::Change>& changes) {
    const bool fills = std::any_of(changes.begin(), changes.end(), [](const remap::Change& change) {
        return std::holds_alternative<remap::change::Promote>(change) ||
               std::holds_alternative<remap::change::Populate>(change);
    });
    return fills ? "it copies or fills memory, which takes longer than the TLB flushes" : nullptr;
}

std::string_view name_of(OtherVcpus others) {
    switch (others) {
        case OtherVcpus::idle:
            return "idle";
        case OtherVcpus::ran:
            return "ran";
        case OtherVcpus::paused:
            return "paused";
    }
    return "";
}

// `need`: why no vCPU may run, and `run_on`: why they had better; neither where that is a matter of what takes longer.
std::optional<PausedVcpus> OtherVcpusKeeper::keep_out(unsigned vcpu, const char* need, const char* run_on,
                                                      BesideCall& beside) {
    if (!need && pause_ == Pause::always) need = "as configured";
    if (!need) {
        beside.others = OtherVcpus::idle;
        beside.reason = "none was in guest mode";
        if (auto kept_out = vm_.keep_others_out(vcpu)) return kept_out;
        beside.others = OtherVcpus::ran;
        beside.reason = pause_ == Pause::needed ? "as configured" : run_on ? run_on : "one TLB flush at most";
        if (pause_ == Pause::needed || run_on || beside.flushes <= 1) return std::nullopt;
        beside.costs = costs_of(vcpu);
        beside.reason = "so few TLB flushes take less time than a pause";
        if (!beside.costs || !beside.costs->pausing_is_shorter(beside.flushes)) return std::nullopt;
        need = "a pause takes less time than so many TLB flushes";
    }
    beside.others = OtherVcpus::paused;
    beside.reason = need;
    return vm_.pause_others(vcpu);
}

// On this host, with as many vCPUs as run now. Measured when they are first wanted.
std::optional<PauseCosts> OtherVcpusKeeper::costs_of(unsigned vcpu) {
    auto& costs = costs_.at(vm_.gate().others_in_guest_mode(vcpu));
    if (!costs) costs = measure_pause_costs(vm_, vcpu);
    return costs;
}

}  // namespace gpremap
