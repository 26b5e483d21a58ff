// The host's pool of huge pages: what is mapped is reserved, and given back whole, touched or not.
//
// The pool is everybody's, so its numbers are not compared: the calls are repeated until a page lost each
// time would have used it up.
#include <gtest/gtest.h>

#include <string>

#include "tests/vmm/kvm_test.h"

namespace gpremap {
namespace {

using abi::Call;

class HugetlbTest : public KvmTestWith<Mechanism> {
  protected:
    std::string lack() const override { return lack_of(Backing::hugetlb_2m, 32); }
    void prepare() override {
        pool_ = free_huge_pages();
        boot(config_of({GetParam(), Backing::hugetlb_2m}, 1, 32 * gib));
    }

    int64_t make(const abi::Step& step) { return perform(step).report.result; }

    uint64_t pool_ = 0;  // pages
};

TEST_P(HugetlbTest, UntouchedPagesGoBackToThePool) {
    for (uint64_t time = 0; time <= pool_; time++) {
        ASSERT_EQ(make(call(Call::map, base, 4 * large, rw)), static_cast<int64_t>(base)) << time;
        make(step(abi::Op::access, base + large, abi::FaultKind::write, 1));
        ASSERT_EQ(make(call(Call::unmap, base, 4 * large)), 0) << time;
    }
}

TEST_P(HugetlbTest, GrowsThatAreTakenBackGoBackToThePool) {
    ASSERT_EQ(make(call(Call::map, base, large, rw)), static_cast<int64_t>(base));
    for (uint64_t time = 0; time <= pool_; time++) {
        ASSERT_EQ(make(call(Call::grow, base, large, 4 * large, 0)), static_cast<int64_t>(base)) << time;
        ASSERT_EQ(make(call(Call::shrink, base, 4 * large, large)), static_cast<int64_t>(base)) << time;
    }
}

TEST_P(HugetlbTest, MapThatThePoolIsTooSmallForTakesNothing) {
    uint64_t fits = pool_ / 2 * large;
    for (int time = 0; time < 4; time++) {
        ASSERT_EQ(make(call(Call::map, base, fits + (pool_ + 1) * large, rw)), -ENOMEM) << time;
        ASSERT_EQ(make(call(Call::map, base, fits, rw)), static_cast<int64_t>(base)) << time;
        ASSERT_EQ(make(call(Call::unmap, base, fits)), 0) << time;
    }
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, HugetlbTest, testing::Values(Mechanism::window, Mechanism::memslot),
                         name_of_mechanism);

}  // namespace
}  // namespace gpremap
