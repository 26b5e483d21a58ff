#include "vmm/machine/kvm_comparison.h"

#include <optional>

#include "vmm/base/errors.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/machine.h"
#include "vmm/memory/prediction.h"

namespace gpremap {
namespace {

using remap::stage2::Piece;

std::optional<std::string> obstacle(const KvmCapabilities& capabilities) {
    if (capabilities.mmu == MmuKind::shadow)
        return "KVM counts pages with EPT and NPT only, and here it uses shadow paging";
    if (capabilities.mmu == MmuKind::stage2) return "KVM counts no pages on ARM";
    if (!capabilities.pre_fault) return "this KVM lacks KVM_PRE_FAULT_MEMORY: Linux 6.11 has it";
    if (!capabilities.statistics) return "this KVM lacks KVM_GET_STATS_FD: Linux 5.14 has it";
    return std::nullopt;
}

std::vector<Piece> all_resident(Machine& machine) {
    std::vector<Piece> pieces = resident_agent_pieces(machine.vm());
    for (const Piece& piece : machine.remapper().resident_pieces()) pieces.push_back(piece);
    return pieces;
}

}  // namespace

bool is_arm_stage2(Machine& machine) {
    return machine.vm().capabilities().mmu == MmuKind::stage2;
}

tl::expected<Stage2Comparison, std::string> compare_with_kvm(Machine& machine) {
    if (auto reason = obstacle(machine.vm().capabilities())) return tl::unexpected(*reason);
    try {
        for (const Piece& piece : all_resident(machine)) {
            remap::Range mapped = piece.mapped();
            machine.pre_fault(0, mapped.start().value, mapped.size().bytes);
        }
        KvmCounts counts = machine.vm().stats();
        return Stage2Comparison{remap::stage2::leaves_of(all_resident(machine)),
                                {{counts.pages_4k, counts.pages_2m, counts.pages_1g}}};
    } catch (const HostLacks& lack) {
        return tl::unexpected(lack.what());
    }
}

}  // namespace gpremap
