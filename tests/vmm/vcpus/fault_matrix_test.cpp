// Every kind of access, to memory that is not there or does not allow it, with every mechanism and backing:
// the report has the exact address, kind, vCPU and instruction, and nothing was written.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <tuple>

#include "tests/vmm/code.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/kvm/vm.h"
#include "vmm/vcpus/post_mortem.h"

namespace gpremap {
namespace {

using abi::Call;
using abi::FaultKind;
using abi::Op;
using abi::Outcome;

constexpr uint64_t good = base, bad = base + large;  // two ranges
constexpr uint64_t place = bad + 3 * page + 0x128;
constexpr unsigned accessing = 1;  // the vCPU; the other makes the calls
constexpr uint64_t contents = 0x5a;

struct AccessKind {
    std::string name;
    abi::Step step;
    FaultKind kind;
    bool (*is_at_rip)(code::Instruction);
};

bool any(code::Instruction) {
    return true;
}

const AccessKind access_kinds[] = {
    {"read", step(Op::access, place, FaultKind::read), FaultKind::read, any},
    {"write", step(Op::access, place, FaultKind::write, 1), FaultKind::write, any},
    {"locked_rmw", step(Op::touch, place, 8, 1, 8), FaultKind::write, code::is_locked},
    {"string_load", step(Op::copy, place, good, 64), FaultKind::read, code::is_of_string},
    {"string_store", step(Op::fill, place, 64, abi::Pattern::byte, 1), FaultKind::write, code::is_of_string},
    {"string_move", step(Op::copy, good, place, 64), FaultKind::write, code::is_of_string},
    {"execute", step(Op::exec, place, 0), FaultKind::execute, any},
};

enum class State { unmapped, read_only, no_access };

constexpr uint64_t huge_pages = 2;

// Of each range: small, or one huge page.
constexpr uint64_t size_with(const Variant& variant) {
    return std::max(8 * page, granule_of(std::get<Backing>(variant)));
}

// Two ranges with contents, one of which loses its rights.
template <class Parameter>
class RangesTest : public KvmTestWith<Parameter> {
  protected:
    const Variant& variant() const { return std::get<Variant>(this->GetParam()); }
    State state() const { return std::get<State>(this->GetParam()); }
    bool is_refused(FaultKind kind) const { return state() != State::read_only || kind != FaultKind::read; }

    void boot_with_ranges() {
        this->boot(config_of(variant(), 2, gib));
        for (uint64_t at : {good, bad}) {
            perform(call(Call::map, at, size, rw));
            fill(at);
        }
    }

    void fill(uint64_t at) { perform(step(Op::fill, at, size, abi::Pattern::byte, contents)); }

    void take_rights() {
        if (state() == State::unmapped)
            perform(call(Call::unmap, bad, size));
        else
            perform(call(Call::protect, bad, size, state() == State::read_only ? GPREMAP_PROT_READ : 0));
    }

    abi::Report perform(const abi::Step& what, unsigned vcpu = 0) {
        abi::Report report = KvmTest::perform(what, vcpu).report;
        EXPECT_GE(report.result, 0);
        return report;
    }

    void expect_contents(uint64_t at) {
        auto verify = step(Op::verify, at, size, abi::Pattern::byte, contents);
        EXPECT_EQ(perform(verify, accessing).outcome, Outcome::ok);
    }

    const uint64_t size = size_with(variant());
};

class FaultTest : public RangesTest<std::tuple<Variant, State, AccessKind>> {
  protected:
    std::string lack() const override { return lack_of(std::get<Backing>(variant()), huge_pages); }
    void prepare() override {
        boot_with_ranges();
        take_rights();
    }

    const AccessKind& access() const { return std::get<AccessKind>(GetParam()); }
    bool is_refused() const { return RangesTest::is_refused(access().kind); }

    void expect_reported(const abi::Report& report) {
        EXPECT_EQ(report.outcome, Outcome::fault);
        EXPECT_EQ(report.fault.address, place);
        EXPECT_EQ(report.fault.kind, access().kind);
        EXPECT_EQ(report.fault.vcpu, accessing);
        if (access().kind == FaultKind::execute) {
            EXPECT_EQ(report.fault.rip, place);
            return;
        }
        EXPECT_EQ(report.fault.cause, abi::FaultCause::stage2);
        EXPECT_GE(report.fault.rip, abi::image_base);
        EXPECT_LT(report.fault.rip, abi::image_limit);
        code::Instruction instruction = 0;
        ASSERT_TRUE(machine_->guest().read(report.fault.rip, &instruction, sizeof instruction));
        EXPECT_TRUE(access().is_at_rip(instruction)) << "at 0x" << std::hex << report.fault.rip;
    }
};

TEST_P(FaultTest, IsReportedExactlyAndWritesNothing) {
    for (int time = 0; time < 2; time++) {
        abi::Report report = machine_->perform(accessing, access().step).report;
        if (is_refused())
            expect_reported(report);
        else
            EXPECT_EQ(report.outcome, Outcome::ok);
    }
    expect_contents(good);
    if (state() == State::unmapped) return;
    perform(call(Call::protect, bad, size, rw));
    expect_contents(bad);
}

TEST_P(FaultTest, UnhandledEndsTheRunWithTheReport) {
    if (!is_refused()) return;
    abi::Fault fault = machine_->perform(accessing, access().step).report.fault;
    std::string message;
    try {
        machine_->perform(accessing, call(Call::unhandled));
    } catch (const GuestDied& died) {
        message = died.what();
    }
    const char* kinds[] = {"read of", "write to", "execution of"};
    std::ostringstream expected;
    expected << kinds[static_cast<int>(access().kind)] << " 0x" << std::hex << place;
    EXPECT_NE(message.find("unhandled fault: "), std::string::npos) << message;
    EXPECT_NE(message.find(expected.str()), std::string::npos) << message;
    expected.str("");
    expected << "rip 0x" << std::hex << fault.rip << ", vCPU " << accessing;
    EXPECT_NE(message.find(expected.str()), std::string::npos) << message;
}

std::string name_of_case(const testing::TestParamInfo<FaultTest::ParamType>& info) {
    const char* states[] = {"unmapped", "read_only", "no_access"};
    const auto& [variant, state, access] = info.param;
    return name_of(variant) + "_" + states[static_cast<int>(state)] + "_" + access.name;
}

INSTANTIATE_TEST_SUITE_P(Matrix, FaultTest,
                         testing::Combine(testing::ValuesIn(variants),
                                          testing::Values(State::unmapped, State::read_only,
                                                          State::no_access),
                                          testing::ValuesIn(access_kinds)),
                         name_of_case);

// ---- every form of instruction: reported exactly, and made once when it is allowed again ----

class FormTest : public RangesTest<std::tuple<Variant, State>> {
  protected:
    static constexpr uint64_t program = bad + large;

    std::string lack() const override { return lack_of(std::get<Backing>(variant()), huge_pages + 1); }
    void prepare() override {
        boot_with_ranges();
        perform(call(Call::map, program, size, rw | GPREMAP_PROT_EXEC));
    }

    void load(const code::Form& form) {
        abi::Step write = step(Op::write, program, form.bytes.size());
        ASSERT_LE(form.bytes.size(), sizeof write.bytes);
        std::ranges::copy(form.bytes, write.bytes);
        perform(write);
    }

    abi::Report run() { return machine_->perform(accessing, step(Op::exec, program, 0)).report; }

    void give_back_rights() {
        if (state() != State::unmapped) {
            perform(call(Call::protect, bad, size, rw));
            return;
        }
        perform(call(Call::map, bad, size, rw));
        fill(bad);
    }

    void expect_made(const abi::Report& report, const code::Form& form) {
        EXPECT_EQ(report.outcome, Outcome::ok) << describe(report.fault);
        EXPECT_EQ(static_cast<int32_t>(report.result), form.result);
    }

    void expect_refused(const abi::Report& report, FaultKind kind, uint64_t offset) {
        EXPECT_EQ(report.outcome, Outcome::fault);
        EXPECT_EQ(report.fault.address, form_place);
        EXPECT_EQ(report.fault.kind, kind);
        EXPECT_EQ(report.fault.cause, abi::FaultCause::stage2);
        EXPECT_EQ(report.fault.vcpu, accessing);
        EXPECT_EQ(report.fault.rip, program + offset);
    }

    // One that reads first and then writes is refused where it reads, if it may not even do that.
    void expect_first_try(const abi::Report& report, const code::Form& form) {
        if (form.reads && is_refused(FaultKind::read))
            expect_refused(report, FaultKind::read, *form.reads);
        else if (form.writes)
            expect_refused(report, FaultKind::write, *form.writes);
        else
            expect_made(report, form);
    }

    void expect_stored(bool stored) {
        uint8_t byte = 0;
        ASSERT_EQ(machine_->vm().read_guest(form_place, std::as_writable_bytes(std::span(&byte, 1))), 1u);
        EXPECT_EQ(byte != contents, stored);
    }

    static constexpr uint64_t form_place = bad + 3 * page + 0x140;
};

TEST_P(FormTest, IsReportedExactlyAndIsMadeOnceWhenAllowed) {
    static_assert(contents == code::form_contents);
    for (const code::Form& form : code::forms(form_place)) {
        SCOPED_TRACE(form.name);
        load(form);
        take_rights();
        expect_first_try(run(), form);
        give_back_rights();
        expect_contents(good);
        expect_contents(bad);
        expect_made(run(), form);
        expect_stored(form.writes.has_value());
        fill(bad);
    }
}

std::string name_of_state(const testing::TestParamInfo<FormTest::ParamType>& info) {
    const char* states[] = {"unmapped", "read_only", "no_access"};
    return name_of(std::get<Variant>(info.param)) + "_" +
           states[static_cast<int>(std::get<State>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Matrix, FormTest,
                         testing::Combine(testing::ValuesIn(variants),
                                          testing::Values(State::unmapped, State::read_only,
                                                          State::no_access)),
                         name_of_state);

// ---- code that goes away while it runs: the one fetch that stage 2 itself refuses ----

class RunningCodeTest : public KvmTestWith<std::tuple<Variant, State>> {
  protected:
    std::string lack() const override {
        return lack_of(std::get<Backing>(std::get<0>(GetParam())), huge_pages);
    }

    // What comes of it where the code has run for so long.
    abi::Report run_for(std::chrono::milliseconds time) {
        auto [variant, state] = GetParam();
        const uint64_t size = size_with(variant);
        boot(config_of(variant, 2, gib));
        perform(call(Call::map, bad, size, rw | GPREMAP_PROT_EXEC));
        abi::Step write = step(Op::write, place, code::turning.size());
        std::ranges::copy(code::turning, write.bytes);
        perform(write);

        machine_->start(1, step(Op::exec, place, 0));
        std::this_thread::sleep_for(time);
        if (state == State::unmapped)
            perform(call(Call::unmap, bad, size));
        else
            perform(call(Call::protect, bad, size, 0));
        return machine_->finish(1).report;
    }
};

// On a busy host it may not have begun: then the agent has asked for what is there no more, and does not allow it to be executed.
TEST_P(RunningCodeTest, FaultsWhereItStands) {
    std::chrono::milliseconds time(20);
    abi::Report report = run_for(time);
    while (report.fault.cause == abi::FaultCause::exception && time < std::chrono::seconds(10))
        report = run_for(time *= 2);
    EXPECT_EQ(report.outcome, Outcome::fault);
    EXPECT_EQ(report.fault.kind, FaultKind::execute);
    EXPECT_EQ(report.fault.cause, abi::FaultCause::stage2);
    EXPECT_EQ(report.fault.vcpu, 1u);
    EXPECT_EQ(report.fault.address, report.fault.rip);
    EXPECT_LT(report.fault.rip - place, code::turning.size());
}

INSTANTIATE_TEST_SUITE_P(Matrix, RunningCodeTest,
                         testing::Combine(testing::ValuesIn(variants),
                                          testing::Values(State::unmapped, State::no_access)),
                         [](const auto& instance) {
                             bool unmapped = std::get<1>(instance.param) == State::unmapped;
                             return name_of(std::get<0>(instance.param)) +
                                    (unmapped ? "_unmapped" : "_no_access");
                         });

}  // namespace
}  // namespace gpremap
