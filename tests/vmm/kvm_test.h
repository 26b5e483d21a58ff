// What the tests on a VM have in common: units, steps for the agent, the kinds of memory to test with,
// whether this host has them, and the fixture.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"
#include "vmm/host/facts.h"
#include "vmm/host/huge_page_account.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/machine.h"

namespace gpremap {

inline constexpr uint64_t kib = 1ull << 10;
inline constexpr uint64_t mib = 1ull << 20;
inline constexpr uint64_t gib = 1ull << 30;
inline constexpr uint64_t page = 4 * kib;
inline constexpr uint64_t large = 2 * mib;
inline constexpr uint64_t base = 4 * gib;  // of every aperture here
inline constexpr uint64_t rw = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;

template <typename... Arguments>
abi::Step step(abi::Op op, Arguments... arguments) {
    abi::Step made = {};
    made.op = op;
    size_t count = 0;
    ((made.arg[count++] = static_cast<uint64_t>(arguments)), ...);
    return made;
}

template <typename... Arguments>
abi::Step call(abi::Call number, Arguments... arguments) {
    return step(abi::Op::call, number, arguments...);
}

// ---- kinds of memory ----

using Variant = std::tuple<Mechanism, Backing>;

inline constexpr Variant automatic = {Mechanism::automatic, Backing::automatic};
inline constexpr Backing backings[] = {Backing::anon, Backing::memfd, Backing::hugetlb_2m};
inline constexpr Variant variants[] = {
    {Mechanism::window, Backing::anon},       {Mechanism::memslot, Backing::anon},
    {Mechanism::window, Backing::memfd},      {Mechanism::memslot, Backing::memfd},
    {Mechanism::window, Backing::hugetlb_2m}, {Mechanism::memslot, Backing::hugetlb_2m},
};

// The smallest that the backing has.
constexpr uint64_t granule_of(Backing backing) {
    for (const BackingTraits& traits : backing_traits)
        if (traits.backing == backing) return traits.least_granule;
    return page;
}

// As GoogleTest allows it in the name of a test.
inline std::string test_name(Backing backing) {
    if (backing == Backing::hugetlb_2m) return "hugetlb_2m";
    if (backing == Backing::hugetlb_1g) return "hugetlb_1g";
    return backing == Backing::memfd ? "memfd" : "anon";
}

inline std::string name_of(const Variant& variant) {
    auto [mechanism, backing] = variant;
    return (mechanism == Mechanism::memslot ? "memslot_" : "window_") + test_name(backing);
}

// For the names of parametrised tests.
inline std::string name_of_mechanism(const testing::TestParamInfo<Mechanism>& info) {
    if (info.param == Mechanism::automatic) return "automatic";
    return info.param == Mechanism::window ? "window" : "memslot";
}
inline std::string name_of_backing(const testing::TestParamInfo<Backing>& info) {
    return test_name(info.param);
}
inline std::string name_of_variant(const testing::TestParamInfo<Variant>& info) {
    return name_of(info.param);
}

inline MachineConfig config_of(const Variant& variant, unsigned vcpus, uint64_t aperture_size) {
    MachineConfig config;
    config.vcpus = vcpus;
    config.memory.aperture_base = base;
    config.memory.aperture_size = aperture_size;
    std::tie(config.memory.mechanism, config.memory.backing) = variant;
    config.memory.granule = granule_of(config.memory.backing);
    return config;
}

// ---- what the host has: the reason to skip a test, or nothing ----

inline std::string lack_of_kvm() {
    try {
        Kvm kvm;
    } catch (const HostLacks& lack) {
        return lack.what();
    }
    return "";
}

// Pages in the host's pool that nobody has been promised, of a backing that is made of such.
inline uint64_t free_pages(Backing backing) {
    const auto pages = read_huge_pages(huge_page_of(backing));
    return pages ? pages->free : 0;
}

// For a test that has at most `huge_pages` of 2 MiB mapped, where they are its backing.
inline std::string lack_of(Backing backing, uint64_t huge_pages) {
    if (std::string lack = lack_of_kvm(); !lack.empty()) return lack;
    uint64_t there = backing == Backing::hugetlb_2m ? free_pages(backing) : huge_pages;
    if (there >= huge_pages) return "";
    return "needs " + std::to_string(huge_pages) + " free huge pages of 2 MiB, there are " +
           std::to_string(there) + ": raise /proc/sys/vm/nr_hugepages";
}

// ---- the fixture ----

// A test on a VM, which begins when the test boots it. Skipped where the host lacks what it needs. One on
// hugetlb must leave the host's pool as it was.
class KvmTest : public testing::Test {
  protected:
    // For what one test alone needs: the reason to skip it, and what is to be there when it begins.
    virtual std::string lack() const { return lack_of_kvm(); }
    virtual void prepare() {}

    void SetUp() final {
        if (std::string reason = lack(); !reason.empty()) GTEST_SKIP() << reason;
        prepare();
    }

    // The VM before, if there is one, ends first: the host may not have the memory for two.
    void boot(const MachineConfig& config) {
        machine_.reset();
        const uint64_t huge_page = huge_page_of(config.memory.backing);
        if (huge_page != 0 && !account_) account_.emplace(huge_page);
        machine_ = std::make_unique<Machine>(config);
    }

    void TearDown() override {
        machine_.reset();
        if (!account_) return;
        if (auto difference = account_->difference()) ADD_FAILURE() << *difference;
    }

    Performed perform(const abi::Step& what, unsigned vcpu = 0) { return machine_->perform(vcpu, what); }

    // A call that the host makes in the name of vCPU 0.
    int64_t remap(abi::Call number, const std::array<uint64_t, 6>& args) {
        return machine_->call(number, args).result;
    }

    std::unique_ptr<Machine> machine_;

  private:
    std::optional<HugePageAccount> account_;
};

template <class Parameter>
class KvmTestWith : public KvmTest, public testing::WithParamInterface<Parameter> {};

}  // namespace gpremap
