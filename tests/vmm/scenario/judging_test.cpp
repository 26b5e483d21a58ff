#include "vmm/scenario/judging.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gpremap {
namespace {

using testing::HasSubstr;

abi::Report faulted(abi::FaultKind kind, uint64_t address) {
    abi::Report report{};
    report.outcome = abi::Outcome::fault;
    report.fault.kind = kind;
    report.fault.address = address;
    return report;
}

TEST(JudgeErrno, HoldsTheReturnedAgainstTheExpected) {
    StepResult fine;
    EXPECT_EQ(judge_errno(0x1000, std::nullopt, fine), Went::on);
    EXPECT_TRUE(fine.ok);
    StepResult as_expected;
    EXPECT_EQ(judge_errno(-ENOMEM, ENOMEM, as_expected), Went::wrong);
    EXPECT_TRUE(as_expected.ok);
    EXPECT_EQ(as_expected.error, "ENOMEM");
    StepResult another;
    judge_errno(-EINVAL, ENOMEM, another);
    EXPECT_EQ(another.problem, "expected ENOMEM, got EINVAL");
    StepResult none;
    EXPECT_EQ(judge_errno(0, ENOMEM, none), Went::on);
    EXPECT_FALSE(none.ok);
    StepResult highest;
    EXPECT_EQ(judge_errno(-4096, std::nullopt, highest), Went::on) << "an address";
}

TEST(JudgeAccess, HoldsTheFaultAgainstTheExpected) {
    Expect expect;
    StepResult unexpected;
    EXPECT_EQ(judge_access(faulted(abi::FaultKind::read, 0x5000), expect, Names(), unexpected), Went::wrong);
    EXPECT_THAT(unexpected.problem, HasSubstr("unexpected read fault at 0x5000"));

    expect.fault = ExpectedFault{abi::FaultKind::write, {}};
    StepResult as_expected;
    judge_access(faulted(abi::FaultKind::write, 0x5000), expect, Names(), as_expected);
    EXPECT_TRUE(as_expected.ok) << as_expected.problem;
    StepResult other;
    judge_access(faulted(abi::FaultKind::read, 0x5000), expect, Names(), other);
    EXPECT_THAT(other.problem, HasSubstr("expected a write fault, got a read fault"));
    StepResult none;
    EXPECT_EQ(judge_access(abi::Report{}, expect, Names(), none), Went::wrong);
    EXPECT_THAT(none.problem, HasSubstr("nothing faulted"));
}

TEST(JudgeRead, HoldsTheWordAgainstTheExpected) {
    Expect expect;
    StepResult anything;
    judge_read(5, expect, anything);
    EXPECT_TRUE(anything.ok);
    EXPECT_EQ(anything.result, 5u);
    expect.read = 5;
    StepResult right;
    judge_read(5, expect, right);
    EXPECT_TRUE(right.ok);
    StepResult wrong;
    judge_read(6, expect, wrong);
    EXPECT_EQ(wrong.problem, "expected to read 0x5, got 0x6");
}

}  // namespace
}  // namespace gpremap
