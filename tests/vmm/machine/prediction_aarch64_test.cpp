// The predicted pages of stage 2 against the faults of stage 2 that it takes to map them: KVM counts no pages on ARM. Each
// page, of whatever size, is mapped by one fault. The kernel's trace point says for which address.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/vmm/kvm/kernel_events.h"
#include "tests/vmm/kvm_test.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::Op;

class StageTwoFaultsTest : public KvmTestWith<Mechanism> {
  protected:
    std::string lack() const override {
        if (std::string lack = lack_of_kvm(); !lack.empty()) return lack;
        if (faults_.works()) return "";
        return "the kernel's trace points of KVM cannot be used: run as root, with tracefs mounted at "
               "/sys/kernel/tracing";
    }
    void prepare() override { boot(config_of({GetParam(), Backing::automatic}, 1, 32 * gib)); }

    void make(Call number, uint64_t first, uint64_t second, uint64_t third) {
        EXPECT_GE(perform(call(number, first, second, third, 0)).report.result, 0);
    }

    uint64_t faults_of_touching(uint64_t at, uint64_t size, bool writes) {
        faults_.clear();
        EXPECT_EQ(perform(step(Op::touch, at, size, writes, page)).report.outcome, abi::Outcome::ok);
        return faults_.count([&](const std::string& line) {
            const std::string word = "kvm_guest_fault: ipa ";
            const std::size_t found = line.find(word);
            return found != std::string::npos &&
                   std::stoull(line.substr(found + word.size()), nullptr, 16) - at < size;
        });
    }

    // The pages of all that is mapped, as the host has it in memory.
    uint64_t predicted() {
        uint64_t pages = 0;
        for (uint64_t of_size : remap::stage2::leaves_of(machine_->remapper().resident_pieces()).of)
            pages += of_size;
        return pages;
    }

    KernelEvents faults_{"kvm/kvm_guest_fault"};
};

// Where they touch first, stage 2 has nothing yet.
TEST_P(StageTwoFaultsTest, OfFreshMemoryAreItsPages) {
    for (uint64_t size : {page, mib, large - page, large, large + page, 32 * mib})
        for (uint64_t skew : {uint64_t{0}, page, mib}) {
            SCOPED_TRACE(std::to_string(size / kib) + " KiB, " + std::to_string(skew / kib) +
                         " KiB off 2 MiB");
            make(Call::map, base + skew, size, rw);
            const uint64_t faults = faults_of_touching(base + skew, size, true);
            EXPECT_EQ(faults, predicted());
            EXPECT_GT(faults, 0u);
            EXPECT_EQ(faults_of_touching(base + skew, size, true), 0u);
            make(Call::unmap, base + skew, size, 0);
        }
}

// A call leaves none of what it moves in stage 2.
TEST_P(StageTwoFaultsTest, OfMovedMemoryAreItsPages) {
    constexpr uint64_t size = 16 * mib;
    make(Call::map, base, size, rw);
    faults_of_touching(base, size, true);
    uint64_t from = base;
    for (uint64_t to : {base + gib, base + 3 * gib + large, base + 5 * gib + page, base + 7 * gib}) {
        SCOPED_TRACE(to);
        make(Call::move, from, to, size);
        const uint64_t faults = faults_of_touching(to, size, false);
        EXPECT_EQ(faults, predicted());
        EXPECT_GE(faults, size / large);
        from = to;
    }
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, StageTwoFaultsTest,
                         testing::Values(Mechanism::window, Mechanism::memslot), name_of_mechanism);

}  // namespace
}  // namespace gpremap
