#include "vmm/vcpus/post_mortem.h"

#include <iomanip>
#include <iterator>
#include <sstream>

#include "vmm/base/errno_names.h"

namespace gpremap {
namespace {

struct Hex {
    uint64_t value;
};

std::ostream& operator<<(std::ostream& out, Hex hex) {
    return out << "0x" << std::hex << hex.value << std::dec;
}

}  // namespace

void HypercallLog::add(uint64_t number, const std::array<uint64_t, 6>& args) {
    entries_[count_++ % kept] = {number, args, std::nullopt};
}

void HypercallLog::set_result(int64_t result) {
    entries_[(count_ - 1) % kept].result = result;
}

std::string HypercallLog::text() const {
    std::ostringstream out;
    for (std::size_t i = count_ > kept ? count_ - kept : 0; i < count_; i++) {
        const Entry& entry = entries_[i % kept];
        out << "  call " << Hex{entry.number} << " (";
        for (std::size_t j = 0; j < entry.args.size(); j++) out << (j ? ", " : "") << Hex{entry.args[j]};
        out << ") ";
        if (!entry.result)
            out << "did not return\n";
        else if (is_error(*entry.result))
            out << "= " << *entry.result << "\n";
        else
            out << "= " << Hex{static_cast<uint64_t>(*entry.result)} << "\n";
    }
    return out.str();
}

std::string describe(const abi::Fault& fault) {
    const char* kinds[] = {"read of", "write to", "execution of"};
    auto kind = static_cast<std::size_t>(fault.kind);
    std::ostringstream out;
    if (fault.cause == abi::FaultCause::exception)
        out << "exception " << fault.vector << ", error code " << Hex{fault.error_code} << ": ";
    out << (kind < std::size(kinds) ? kinds[kind] : "access to") << " " << Hex{fault.address};
    if (fault.cause == abi::FaultCause::stage2) out << ": not mapped, or against its protection";
    out << "; rip " << Hex{fault.rip} << ", vCPU " << fault.vcpu;
    return out.str();
}

std::string post_mortem(const std::string& reason, unsigned vcpu, const kvm_regs& regs,
                        const SpecialRegisters& special, const HypercallLog& log) {
    constexpr std::size_t columns = 4;
    std::ostringstream out;
    const std::vector<RegisterInWords> registers = in_words(regs, special);
    out << "the guest died on vCPU " << vcpu << ": " << reason << "\n";
    for (std::size_t i = 0; i < registers.size(); i++)
        out << "  " << std::left << std::setw(6) << registers[i].name << " " << std::right << std::hex
            << std::setfill('0') << std::setw(16) << registers[i].value << std::dec << std::setfill(' ')
            << (i % columns == columns - 1 ? "\n" : "");
    out << "  " << privilege(regs, special) << "\nits last hypercalls, oldest first:\n" << log.text();
    return out.str();
}

}  // namespace gpremap
