#include "vmm/scenario/reading.h"

#include <errno.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/scenario/timeline.h"

namespace gpremap {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t KiB = 1ull << 10;
constexpr uint64_t MiB = 1ull << 20;
constexpr uint64_t GiB = 1ull << 30;

// [vm] and a range "heap" of 256 MiB, on lines 1 to 2; `rest` begins on line 3.
Scenario with_heap(std::string_view rest, const Overrides& overrides = {}) {
    return parse_scenario(fmt::format("[[step]]\nmap = {{ name = 'heap', size = '256MiB' }}\n{}", rest),
                          "s.toml", overrides);
}

Scenario with_step(std::string_view step) {
    return with_heap(fmt::format("[[step]]\n{}\n", step));
}

// The call of the step after the map.
CallAction call_of(std::string_view step) {
    return std::get<CallAction>(with_step(step).steps.at(1).action);
}

// The arguments, with "heap" at 16 GiB.
std::vector<uint64_t> arguments(const CallAction& call) {
    Names names;
    names.define("heap", {16 * GiB, 256 * MiB});
    std::vector<uint64_t> values;
    for (const Argument& argument : call.args) values.push_back(argument.value.in(names));
    return values;
}

template <typename Parse>
std::string error_of(Parse parse) {
    try {
        parse();
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

std::string error_of_step(std::string_view step) {
    return error_of([&] { with_step(step); });
}

std::string error_of_vm(std::string_view vm, const Overrides& overrides = {}) {
    return error_of([&] {
        parse_scenario(fmt::format("[vm]\n{}\n[[step]]\nmap = {{ size = 4096 }}\n", vm), "s.toml", overrides);
    });
}

using Values = std::vector<uint64_t>;

// ---- [vm] ----

TEST(ScenarioVm, DefaultsAndEveryKey) {
    EXPECT_EQ(with_heap("").machine.vcpus, 1u);
    Scenario scenario = parse_scenario(R"(
        [vm]
        vcpus = 2
        granule = "2MiB"
        aperture = { base = "8GiB", size = "32GiB" }
        limit = "1GiB"
        backing = "hugetlb-2M"
        mechanism = "memslot"
        pool = "64MiB"
        pre_fault = true
        [[step]]
        checkpoint = true)",
                                       "s.toml");
    EXPECT_EQ(scenario.machine.vcpus, 2u);
    EXPECT_EQ(scenario.machine.memory.granule, 2 * MiB);
    EXPECT_EQ(scenario.machine.memory.aperture_base, 8 * GiB);
    EXPECT_EQ(scenario.machine.memory.aperture_size, 32 * GiB);
    EXPECT_EQ(scenario.machine.memory.limit, GiB);
    EXPECT_EQ(scenario.machine.memory.backing, Backing::hugetlb_2m);
    EXPECT_EQ(scenario.machine.memory.mechanism, Mechanism::memslot);
    EXPECT_EQ(scenario.machine.memory.pool, 64 * MiB);
    EXPECT_TRUE(scenario.machine.memory.pre_fault);
}

TEST(ScenarioVm, Refuses) {
    EXPECT_THAT(error_of_vm("vcpus = 0"),
                HasSubstr("s.toml:2: key 'vm.vcpus': expected an integer from 1 to 8"));
    EXPECT_THAT(error_of_vm("vcpus = 9"), HasSubstr("got 9"));
    EXPECT_THAT(error_of_vm("granule = '8KiB'"),
                HasSubstr("expected \"4KiB\", \"2MiB\" or \"1GiB\", got \"8KiB\""));
    EXPECT_THAT(error_of_vm("limit = '4097B'"), HasSubstr("limit must be a multiple of the granule"));
    EXPECT_THAT(error_of_vm("limit = 0"), HasSubstr("limit must be a multiple"));
    EXPECT_THAT(error_of_vm("pool = '1MiB'"), HasSubstr("pool must be a multiple of 2 MiB"));
    EXPECT_THAT(error_of_vm("limit = '2MiB'\npool = '4MiB'"), HasSubstr("not above limit"));
    EXPECT_THAT(error_of_vm("aperture = { base = '1MiB' }"), HasSubstr("multiples of 2 MiB"));
    EXPECT_THAT(error_of_vm("aperture = { base = '512MiB' }"),
                HasSubstr("expected a range between 1 GiB and 64 TiB"));
    EXPECT_THAT(error_of_vm("aperture = { base = '63TiB', size = '2TiB' }"),
                HasSubstr("between 1 GiB and 64 TiB"));
    EXPECT_THAT(error_of_vm("aperture = { size = 0 }"), HasSubstr("size not 0"));
    EXPECT_THAT(error_of_vm("backing = 'tmpfs'"), HasSubstr("expected one of \"auto\", \"anon\", \"memfd\""));
    EXPECT_THAT(error_of_vm("mechanism = 'ept'"),
                HasSubstr("expected one of \"auto\", \"window\", \"memslot\""));
    EXPECT_THAT(error_of_vm("pre_fault = 1"),
                HasSubstr("s.toml:2: key 'vm.pre_fault': expected true or false"));
    EXPECT_THAT(error_of_vm("memory = 1"), HasSubstr("s.toml:2: key 'vm.memory': unknown key"));
    EXPECT_THAT(error_of_vm("domain = 'guest.xml'"),
                HasSubstr("s.toml:2: key 'vm.domain': guest.xml: cannot be read: No such file"));
    EXPECT_THAT(error_of_vm("backing = 'hugetlb-2M'"), HasSubstr("set granule = \"2MiB\""));
}

// Whoever says it: a key on its line, or an option of the command line.
TEST(ScenarioVm, BlamesWhatIsWrong) {
    EXPECT_THAT(error_of_vm("\n\nlimit = 0"), HasSubstr("s.toml:4: key 'vm.limit': limit must be"));
    EXPECT_THAT(error_of_vm("\npool = '1MiB'"), HasSubstr("s.toml:3: key 'vm.pool': pool must be"));
    EXPECT_THAT(error_of_vm("\nbacking = 'hugetlb-2M'"),
                HasSubstr("s.toml:3: key 'vm.backing': backing \"hugetlb-2M\""));
    EXPECT_THAT(error_of_vm("pool = 0", Overrides{{}, {}, {}, 3 * MiB}), StartsWith("--pool: pool must be"));
    EXPECT_THAT(error_of_vm("backing = 'anon'", Overrides{Backing::hugetlb_2m, {}, {}}),
                StartsWith("--backing: backing \"hugetlb-2M\""));
    EXPECT_THAT(error_of_vm("backing = 'hugetlb-2M'\ngranule = '2MiB'", Overrides{{}, {}, 4 * KiB}),
                StartsWith("--granule: backing \"hugetlb-2M\""));
    EXPECT_THAT(error_of([] {
                    with_heap("", Overrides{{}, {}, {}, 3 * MiB});
                }),
                StartsWith("--pool: pool must be"));
}

TEST(ScenarioVm, OverridesDecideBeforeTheCheck) {
    Overrides huge{Backing::hugetlb_2m, Mechanism::memslot, 2 * MiB};
    MemoryConfig memory = with_heap("", huge).machine.memory;
    EXPECT_EQ(memory.backing, Backing::hugetlb_2m);
    EXPECT_EQ(memory.mechanism, Mechanism::memslot);
    EXPECT_EQ(memory.granule, 2 * MiB);
    EXPECT_THAT(error_of_vm("limit = '4MiB'", Overrides{Backing::hugetlb_2m, {}, {}}),
                HasSubstr("hugetlb-2M"));
    EXPECT_THAT(error_of_vm("limit = '5MiB'", Overrides{{}, {}, 2 * MiB}),
                HasSubstr("limit must be a multiple"));
}

TEST(Scenario, WholeFile) {
    EXPECT_THAT(error_of([] { parse_scenario("", "s.toml"); }), HasSubstr("key 'step': missing"));
    EXPECT_THAT(error_of([] { with_heap("[machine]\n"); }),
                HasSubstr("s.toml:3: key 'machine': unknown key"));
}

TEST(Scenario, HasWorkloadsOnVcpusOfTheirOwn) {
    auto complaint = [](const std::string& text) {
        return error_of([&] { with_heap("[vm]\nvcpus = 3\n" + text); });
    };
    const std::string writer = "[[workload]]\nname = 'writer'\ndo = 'touch'\nvcpu = 1\nrange = 'heap'\n";
    EXPECT_EQ(with_heap("[vm]\nvcpus = 2\n" + writer).workloads.size(), 1u);
    EXPECT_THAT(error_of([&] { with_heap(writer); }),
                HasSubstr("s.toml:6: key 'workload[0].vcpu': the VM has 1 vCPU; set vm.vcpus to 2 or more"));
    EXPECT_THAT(complaint(writer + "[[step]]\nvcpu = 1\ntouch = { range = 'heap' }\n"),
                HasSubstr("s.toml:8: key 'workload[0].vcpu': the step of line 12 uses vCPU 1"));
    EXPECT_THAT(complaint(writer + "[[workload]]\nname = 'other'\ndo = 'jitter'\nvcpu = 1\n"),
                HasSubstr("s.toml:13: key 'workload[1].vcpu': workload 'writer' has vCPU 1"));
    EXPECT_THAT(complaint(writer + "[[workload]]\nname = 'writer'\ndo = 'jitter'\nvcpu = 2\n"),
                HasSubstr("s.toml:10: key 'workload[1]': the workload of line 5 is 'writer', too"));
    EXPECT_THAT(complaint("[[workload]]\ndo = 'touch'\nvcpu = 1\nrange = 'pile'\n"),
                HasSubstr("s.toml:8: key 'workload[0].range': no step makes a range 'pile'"));
}

TEST(Scenario, ReportsEveryStepThatIsWrong) {
    EXPECT_EQ(error_of([] {
                  with_heap("[[step]]\nmapp = {}\n[[step]]\nunmap = { range = 3 }\n");
              }).find("s.toml:4"),
              0u);
    EXPECT_THAT(error_of([] { with_heap("[[step]]\nunmap = {}\n[[step]]\nunmap = { range = 3 }\n"); }),
                AllOf(HasSubstr("s.toml:4: key 'step[1].unmap': missing 'range' or 'at'"),
                      HasSubstr("\ns.toml:6: key 'step[2].unmap.range'")));
}

// ---- calls ----

TEST(ScenarioCalls, Native) {
    constexpr uint64_t rw = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
    constexpr uint64_t heap = 16 * GiB, size = 256 * MiB;
    EXPECT_EQ(arguments(call_of("map = { size = '4KiB' }")), (Values{0, 4096, rw, GPREMAP_FLAG_ANYWHERE}));
    EXPECT_EQ(arguments(call_of("map = { at = '5GiB', len = 4096, prot = 'r' }")),
              (Values{5 * GiB, 4096, 1, 0}));
    EXPECT_EQ(arguments(call_of("map = { at = '5GiB', size = 4096, hint = true, shared = true }")),
              (Values{5 * GiB, 4096, rw, GPREMAP_FLAG_HINT | GPREMAP_FLAG_SHARED}));
    EXPECT_EQ(arguments(call_of("unmap = { range = 'heap' }")), (Values{heap, size}));
    EXPECT_EQ(arguments(call_of("release = { range = 'heap', offset = '1MiB', size = '4KiB' }")),
              (Values{heap + MiB, 4096}));
    EXPECT_EQ(arguments(call_of("release = { range = 'heap', offset = '1MiB' }")),
              (Values{heap + MiB, size - MiB}));
    EXPECT_EQ(arguments(call_of("move = { range = 'heap', to = '32GiB' }")),
              (Values{heap, 32 * GiB, size, 0}));
    EXPECT_EQ(
        arguments(call_of("move = { range = 'heap', replace = true, keep_holes = true }")),
        (Values{heap, 0, size, GPREMAP_FLAG_ANYWHERE | GPREMAP_FLAG_REPLACE | GPREMAP_FLAG_KEEP_HOLES}));
    EXPECT_EQ(arguments(call_of("move = { from = 'heap', to = 'heap+4KiB' }")),
              (Values{heap, heap + 4 * KiB, size, 0}));
    EXPECT_EQ(arguments(call_of("grow = { range = 'heap', new_size = '512MiB', may_move = true }")),
              (Values{heap, size, 2 * size, GPREMAP_FLAG_MAY_MOVE}));
    EXPECT_EQ(arguments(call_of("shrink = { range = 'heap', new_len = '4KiB' }")),
              (Values{heap, size, 4096}));
    EXPECT_EQ(arguments(call_of("alias = { range = 'heap', name = 'v' }")),
              (Values{heap, 0, size, GPREMAP_PROT_PREVIOUS, GPREMAP_FLAG_ANYWHERE}));
    EXPECT_EQ(arguments(call_of("snapshot = { range = 'heap', to = '20GiB', prot = 'r' }")),
              (Values{heap, 20 * GiB, size, GPREMAP_PROT_READ, 0}));
    EXPECT_EQ(arguments(call_of("exchange = { a = 'heap', b = 'heap+128MiB', size = '128MiB' }")),
              (Values{heap, heap + 128 * MiB, 128 * MiB}));
    EXPECT_EQ(arguments(call_of("protect = { range = 'heap', prot = 'none' }")), (Values{heap, size, 0}));
    for (const char* call : {"seal", "lock", "unlock", "pin", "unpin", "query"})
        EXPECT_EQ(arguments(call_of(fmt::format("{} = {{ range = 'heap' }}", call))), (Values{heap, size}))
            << call;
}

TEST(ScenarioCalls, Personalities) {
    constexpr uint64_t heap = 16 * GiB, size = 256 * MiB;
    EXPECT_EQ(arguments(call_of("linux = { range = 'heap', new_size = '512MiB', flags = ['MAYMOVE'] }")),
              (Values{heap, size, 2 * size, 1, 0}));
    EXPECT_EQ(arguments(call_of("linux = { old = 'heap', old_size = 0, new_size = 4096, "
                                "flags = ['MAYMOVE', 'FIXED'], to = '20GiB', name = 'dup' }")),
              (Values{heap, 0, 4096, 3, 20 * GiB}));
    EXPECT_EQ(arguments(call_of("linux = { range = 'heap', flags = 0x80 }")),
              (Values{heap, size, size, 0x80, 0}));
    EXPECT_EQ(
        arguments(call_of("netbsd = { range = 'heap', flags = ['REMAPDUP'], align = 30, name = 'dup' }")),
        (Values{heap, size, 0, size, 0x1e000004}));
    EXPECT_EQ(arguments(call_of("utek = { range = 'heap', to = '20GiB', len = '4KiB', prot = 'rw' }")),
              (Values{heap, 20 * GiB, 4096, 3}));
    EXPECT_EQ(arguments(call_of("utek = { range = 'heap', prot = 'rw', flags = ['RELEASE_ZFILL'] }")),
              (Values{heap, heap, size, 0x103}));
    EXPECT_THAT(error_of_step("utek = { range = 'heap' }"), HasSubstr("missing 'prot'"));
    EXPECT_THAT(error_of_step("linux = { range = 'heap', name = 'x' }"),
                HasSubstr("only a duplicate needs a name"));
    EXPECT_THAT(
        error_of_step("linux = { range = 'heap', flags = 'MAYMOVE' }"),
        HasSubstr("flags': expected a list of \"MAYMOVE\", \"FIXED\", \"DONTUNMAP\", or an integer of "
                  "raw bits, got \"MAYMOVE\""));
    EXPECT_THAT(error_of_step("linux = { range = 'heap', flags = ['MAY'] }"),
                HasSubstr("key 'step[1].linux.flags[0]': expected one of \"MAYMOVE\""));
}

TEST(ScenarioCalls, Batch) {
    Scenario scenario = with_step(
        "batch = [ { move = { range = 'heap', to = '8GiB' } }, { protect = { range = 'heap', prot = 'r' } } "
        "]");
    const auto& batch = std::get<BatchAction>(scenario.steps.at(1).action);
    ASSERT_EQ(batch.calls.size(), 2u);
    EXPECT_EQ(batch.calls[1].number, abi::Call::protect);
    EXPECT_THAT(error_of_step("batch = []"), HasSubstr("expected from 1 to 256 calls, got 0"));
    EXPECT_THAT(error_of_step("batch = [ { linux = { range = 'heap' } } ]"), HasSubstr("not a native call"));
}

TEST(ScenarioCalls, FurtherOnesOfLinux) {
    constexpr uint64_t heap = 16 * GiB, size = 256 * MiB;
    EXPECT_EQ(arguments(call_of("linux_mmap = { name = 'x', size = '4KiB' }")), (Values{0, 4096, 3, 0x22}));
    EXPECT_EQ(arguments(call_of("linux_munmap = { range = 'heap' }")), (Values{heap, size}));
    EXPECT_EQ(arguments(call_of("linux_mprotect = { range = 'heap', prot = 'r--' }")),
              (Values{heap, size, 1}));
    EXPECT_EQ(arguments(call_of("linux_madvise = { range = 'heap', advice = 'DONTNEED' }")),
              (Values{heap, size, 4}));
    EXPECT_EQ(arguments(call_of("linux_mseal = { range = 'heap', flags = 1 }")), (Values{heap, size, 1}));
    EXPECT_THAT(
        error_of([] {
            with_heap("[[step]]\nlinux_munmap = { range = 'heap' }\n[[step]]\ntouch = { range = 'heap' }\n");
        }),
        HasSubstr("nothing is mapped at 'heap' any more"));
}

TEST(ScenarioCalls, ProtectionsAreWrittenAsInCases) {
    for (const auto& [text, bits] : {std::pair{"none", 0u}, {"---", 0u}, {"", 0u}, {"r", 1u}, {"r--", 1u}})
        EXPECT_EQ(arguments(call_of(fmt::format("protect = {{ range = 'heap', prot = '{}' }}", text)))[2],
                  bits)
            << text;
    EXPECT_THAT(error_of_step("protect = { range = 'heap', prot = 'rr' }"),
                HasSubstr("key 'step[1].protect.prot': expected a protection"));
}

// What is refused on purpose: UTek's "len is not positive", NetBSD's E2BIG.
TEST(ScenarioCalls, RawSizes) {
    constexpr uint64_t heap = 16 * GiB;
    const char* raw = "utek = { range = 'heap', len = '-4096', prot = 'rw' }\nexpect = { errno = 'EINVAL' }";
    EXPECT_EQ(arguments(call_of(raw)), (Values{heap, heap, ~0ull - 4095, 3}));
    EXPECT_EQ(arguments(call_of("netbsd = { range = 'heap', new_size = '0xfffffffffffff000' }\n"
                                "expect = { errno = 'E2BIG' }"))[3],
              ~0ull - 4095);
    EXPECT_EQ(arguments(call_of("unmap = { at = '0x400000000', size = -1 }\nexpect = { errno = 'EINVAL' }")),
              (Values{heap, ~0ull}));
    EXPECT_THAT(error_of_step("unmap = { range = 'heap', size = '--1' }"),
                HasSubstr("or a raw value such as"));
}

TEST(ScenarioCalls, ASizeOfNothingIsWrongUnlessItIsToBe) {
    const char* zero = "a size of 0 is an error";
    EXPECT_THAT(error_of_step("unmap = { range = 'heap', size = 0 }"),
                AllOf(HasSubstr("s.toml:4: key 'step[1].unmap.size'"), HasSubstr(zero)));
    EXPECT_THAT(error_of_step("map = { size = 0 }"), HasSubstr(zero));
    EXPECT_THAT(error_of_step("linux = { range = 'heap', new_size = 0 }"), HasSubstr(zero));
    EXPECT_THAT(error_of_step("batch = [ { seal = { range = 'heap', size = 0 } } ]"), HasSubstr(zero));
    EXPECT_EQ(error_of_step("map = { size = 0 }\nexpect = { errno = 'EINVAL' }"), "no error");
    EXPECT_EQ(error_of_step("linux = { range = 'heap', old_size = 0, new_size = 4096, flags = ['MAYMOVE'] }"),
              "no error");
    EXPECT_THAT(error_of_step("touch = { range = 'heap', size = 0 }"),
                HasSubstr("expected a size that is not 0"));
}

TEST(ScenarioSteps, AnEmptyListIsNone) {
    EXPECT_THAT(error_of([] { parse_scenario("step = []", "s.toml"); }),
                HasSubstr("s.toml:1: key 'step': expected at least one [[step]]"));
    EXPECT_THAT(error_of_step("repeat = { times = 2, steps = [] }"),
                HasSubstr("key 'step[1].repeat.steps': expected at least one step"));
}

// ---- other steps ----

TEST(ScenarioSteps, Patterns) {
    auto action = [](std::string_view step) {
        return std::get<PatternAction>(with_step(step).steps.at(1).action);
    };
    EXPECT_EQ(action("fill = { range = 'heap', with = 'a' }").value, uint64_t{'a'});
    EXPECT_EQ(action("fill = { range = 'heap', with = 'zero' }").value, 0u);
    EXPECT_EQ(action("verify = { range = 'heap', with = 'stamp', seed = 7 }").value, 7u);
    EXPECT_EQ(action("verify = { range = 'heap', with = 'stamp' }").pattern, abi::Pattern::stamp);
    EXPECT_THAT(error_of_step("fill = { range = 'heap', with = 'ab' }"),
                HasSubstr("expected one letter, \"zero\""));
    EXPECT_THAT(error_of_step("fill = { range = 'heap', with = 'a', seed = 1 }"),
                HasSubstr("only a stamp has a seed"));
    EXPECT_THAT(error_of_step("fill = { range = 'heap', with = 'stamp', offset = 1 }"),
                HasSubstr("multiple of 4 KiB"));
    EXPECT_THAT(error_of_step("fill = { range = 'heap' }"), HasSubstr("key 'step[1].fill.with': missing"));
}

TEST(ScenarioSteps, TheOthers) {
    Scenario scenario = with_heap(R"(
[[step]]
touch = { range = "heap", write = true }
[[step]]
copy = { from = "heap", to = "heap+128MiB", size = "128MiB" }
[[step]]
access = { range = "heap", offset = 8, kind = "write", value = 3 }
[[step]]
exec = { range = "heap", through = "heap", returns = 1, offset = "4KiB" }
[[step]]
sleep = 0.5
[[step]]
checkpoint = "middle"
[[step]]
inflate = { range = "heap", from = "256MiB", to = "128MiB", seconds = 1, steps = 4 }
[[step]]
repeat = { times = 3, steps = [ { touch = { range = "heap", size = "128MiB" } }, { sleep = 0 } ] }
)");
    EXPECT_EQ(count_steps(timeline_of(scenario.steps, scenario.machine.memory.granule)), 10u);
    EXPECT_EQ(std::get<TouchAction>(scenario.steps[1].action).kind, abi::FaultKind::write);
    EXPECT_EQ(std::get<AccessAction>(scenario.steps[3].action).value, 3u);
    EXPECT_EQ(std::get<ExecAction>(scenario.steps[4].action).through->offset, 4096u);
    EXPECT_EQ(std::get<SleepAction>(scenario.steps[5].action).seconds, 0.5);
    EXPECT_EQ(std::get<ResizeAction>(scenario.steps[7].action).points.size(), 4u);
    EXPECT_EQ(std::get<RepeatAction>(scenario.steps[8].action).steps.size(), 2u);
    EXPECT_EQ(scenario.steps[8].verb, "repeat");
}

TEST(ScenarioSteps, OneVerbEach) {
    EXPECT_THAT(
        error_of_step("fill = { range = 'heap', with = 'a' }\nverify = { range = 'heap', with = 'a' }"),
        HasSubstr("s.toml:5: key 'step[1].verify': this step is a 'fill' already"));
    EXPECT_THAT(error_of_step("fil = { range = 'heap' }"),
                HasSubstr("s.toml:4: key 'step[1].fil': not a step"));
    EXPECT_THAT(error_of_step("unmap = { range = 'heap' }\nexpects = { errno = 'EINVAL' }"),
                HasSubstr("not a step, and not vcpu, at, track, label, during, deadline, expect beside one; "
                          "known are alias,"));
    EXPECT_THAT(error_of_step("vcpu = 0"), HasSubstr("a step that does nothing"));
    EXPECT_THAT(error_of_step("checkpoint = false"), HasSubstr("expected true or a label in quotes"));
    EXPECT_THAT(error_of_step("sleep = -1"), HasSubstr("seconds from 0 to 3600"));
    EXPECT_THAT(error_of_step("access = { range = 'heap', kind = 'execute' }"),
                HasSubstr("\"read\", \"write\""));
    EXPECT_THAT(error_of_step("exec = { range = 'heap', through = 'heap' }"),
                HasSubstr("'step[1].exec.returns': missing"));
    EXPECT_THAT(error_of_step("repeat = { times = 0, steps = [] }"), HasSubstr("from 1 to 1000000"));
    EXPECT_THAT(error_of_step("sleep = 0\nvcpu = 1"),
                HasSubstr("s.toml:5: key 'step[1].vcpu': there is no vCPU 1, for vm.vcpus is 1"));
}

TEST(ScenarioSteps, Expect) {
    Expect expect =
        with_step("move = { range = 'heap', to = '8GiB' }\nexpect = { at = '8GiB', moved = true }")
            .steps[1]
            .expect;
    EXPECT_EQ(expect.at->offset, 8 * GiB);
    EXPECT_EQ(expect.moved, true);
    expect = with_step(
                 "access = { range = 'heap', kind = 'write' }\n"
                 "expect = { fault = { kind = 'write', address = 'heap' } }")
                 .steps[1]
                 .expect;
    EXPECT_EQ(expect.fault->kind, abi::FaultKind::write);
    expect = with_step("unmap = { at = 1, size = 1 }\nexpect = { errno = 'EINVAL' }").steps[1].expect;
    EXPECT_EQ(expect.error, EINVAL);
    expect = with_step("unmap = { at = 1, size = 1 }\nexpect = { errno = 'EMCOLLIDE' }").steps[1].expect;
    EXPECT_EQ(expect.error, GPREMAP_EMCOLLIDE);

    EXPECT_THAT(error_of_step("unmap = { range = 'heap' }\nexpect = { errno = 'EWHAT' }"),
                HasSubstr("the name of an errno"));
    EXPECT_THAT(error_of_step("unmap = { range = 'heap' }\nexpect = { fault = 'read' }"),
                HasSubstr("only an access to memory can fault"));
    EXPECT_THAT(error_of_step("touch = { range = 'heap' }\nexpect = { errno = 'EINVAL' }"),
                HasSubstr("only a call can end in an errno"));
    EXPECT_THAT(error_of_step("unmap = { range = 'heap' }\nexpect = { at = 1 }"),
                HasSubstr("a 'unmap' returns no address"));
    EXPECT_THAT(error_of_step("move = { range = 'heap' }\nexpect = { errno = 'EINVAL', moved = true }"),
                HasSubstr("stand alone"));
    EXPECT_THAT(error_of_step("move = { range = 'heap' }\nexpect = { err = 'EINVAL' }"),
                HasSubstr("s.toml:5: key 'step[1].expect.err': unknown key"));
}

TEST(ScenarioSteps, ExpectARead) {
    EXPECT_EQ(with_step("access = { range = 'heap', kind = 'read' }\nexpect = { read = 0x6161 }")
                  .steps[1]
                  .expect.read,
              0x6161u);
    EXPECT_THAT(error_of_step("access = { range = 'heap', kind = 'write' }\nexpect = { read = 1 }"),
                HasSubstr("only an access of kind \"read\" reads a word"));
    EXPECT_THAT(error_of_step("touch = { range = 'heap' }\nexpect = { read = 1 }"),
                HasSubstr("only an access of kind \"read\" reads a word"));
    EXPECT_THAT(
        error_of_step("access = { range = 'heap', kind = 'read' }\nexpect = { read = 1, fault = 'read' }"),
        HasSubstr("stand alone"));
    EXPECT_THAT(error_of_step("access = { range = 'heap', kind = 'read' }\nexpect = { read = -1 }"),
                HasSubstr("s.toml:5: key 'step[1].expect.read'"));
}

TEST(ScenarioSteps, ASizeMayCountFromTheSources) {
    auto new_size = [](const std::string& step) {
        return std::get<CallAction>(with_step(step).steps[1].action).new_size;
    };
    const Operand grown = new_size("grow = { range = 'heap', new_size = '+64MiB' }");
    EXPECT_EQ(grown.kind, Operand::Kind::size_of);
    Names names;
    names.define("heap", {.size = 128 * MiB});
    EXPECT_EQ(grown.in(names), 192 * MiB);
    EXPECT_EQ(new_size("shrink = { range = 'heap', new_size = '-64MiB' }").in(names), 64 * MiB);
    EXPECT_EQ(new_size("linux = { range = 'heap', offset = '100MiB', new_size = '-4KiB' }").in(names),
              28 * MiB - 4096);
    EXPECT_EQ(new_size("linux = { range = 'heap', old_size = '4MiB', new_size = '+4KiB' }").in(names),
              4 * MiB + 4096);
    EXPECT_THROW(new_size("shrink = { range = 'heap', new_size = '-129MiB' }").in(names), ConfigError);
    EXPECT_EQ(
        new_size("linux = { range = 'heap', new_size = '-4096' }\nexpect = { errno = 'EINVAL' }").offset,
        0 - uint64_t{4096})
        << "without a unit it is a raw value";
    EXPECT_THAT(error_of_step("grow = { range = 'heap', new_size = '+64' }"),
                HasSubstr("expected a size such as"));
    EXPECT_THAT(error_of_step("shrink = { range = 'heap', new_size = '-1GiB' }"),
                HasSubstr("s.toml:4: key 'step[1].shrink.new_size': 'heap' has 256 MiB here, which cannot "
                          "get smaller by 1 GiB"));
}

TEST(ScenarioSteps, AWaitIsForOneThing) {
    EXPECT_THAT(
        error_of_step("wait = { pool = '4MiB' }"),
        HasSubstr("s.toml:4: key 'step[1].wait.pool': the warm pool never has so much: vm.pool is 0 B"));
    EXPECT_THAT(error_of_step("wait = { workload = 'w', ops = 1 }"),
                HasSubstr("s.toml:4: key 'step[1].wait.workload': there is no workload 'w'"));
    EXPECT_THAT(error_of_step("wait = { workload = 'w' }"), HasSubstr("step[1].wait.ops': missing"));
    EXPECT_THAT(error_of_step("wait = { workload = 'w', ops = 1, pool = 1 }"),
                HasSubstr("waits for one thing"));
    EXPECT_THAT(error_of_step("wait = { timeout = 1 }"),
                HasSubstr("expected `pool`, or `workload` and `ops`"));
    EXPECT_THAT(error_of_step("wait = { pool = 1, ops = 1 }"), HasSubstr("only a workload does operations"));
}

TEST(ScenarioSteps, TimesHaveUnits) {
    auto at = [](const std::string& time) { return with_step("at = " + time + "\nsleep = 0").steps[1].at; };
    EXPECT_DOUBLE_EQ(at("'2s'"), 2);
    EXPECT_DOUBLE_EQ(at("'1.5 ms'"), 1.5e-3);
    EXPECT_DOUBLE_EQ(at("'20us'"), 20e-6);
    EXPECT_DOUBLE_EQ(at("'7ns'"), 7e-9);
    EXPECT_DOUBLE_EQ(at("'2min'"), 120);
    EXPECT_DOUBLE_EQ(at("0.25"), 0.25);
    for (const char* time : {"'2'", "'s'", "'2h'", "-1", "'-1s'", "true", "'61min'"})
        EXPECT_THAT(error_of_step(std::string("at = ") + time + "\nsleep = 0"),
                    HasSubstr("s.toml:4: key 'step[1].at': expected "))
            << time;
}

TEST(ScenarioSteps, AnotherTrackMayChangeARange) {
    EXPECT_EQ(
        error_of_step(
            "track = 't'\nvcpu = 1\nshrink = { range = 'heap', new_size = '4MiB' }\n[[step]]\ntouch = { "
            "range = 'heap', size = '8MiB' }\n[vm]\nvcpus = 2"),
        "no error");
    EXPECT_THAT(
        error_of_step(
            "shrink = { range = 'heap', new_size = '4MiB' }\n[[step]]\ntouch = { range = 'heap', size "
            "= '8MiB' }"),
        HasSubstr("reaches beyond"));
    EXPECT_THAT(
        error_of_step(
            "track = 't'\nvcpu = 1\ntouch = { range = 'late' }\n[[step]]\nmap = { name = 'late', size "
            "= '8MiB' }\n[vm]\nvcpus = 2"),
        HasSubstr("no earlier step defines a range 'late'"));
}

TEST(ScenarioSteps, AScheduleMayExpectAnErrno) {
    const Scenario scenario = with_step(
        "inflate = { range = 'heap', from = '256MiB', to = '4GiB', seconds = 0, steps = 4 }\n"
        "expect = { errno = 'ENOMEM' }");
    EXPECT_EQ(scenario.steps[1].expect.error, ENOMEM);
}

TEST(ScenarioSteps, ABatchOfTheGreatestLength) {
    auto batch = [](unsigned calls) {
        std::string all;
        for (unsigned i = 0; i < calls; i++) all += "{ lock = { range = 'heap' } }, ";
        return "batch = [ " + all + "]";
    };
    EXPECT_EQ(error_of_step(batch(GPREMAP_MAX_BATCH)), "no error");
    EXPECT_THAT(error_of_step(batch(GPREMAP_MAX_BATCH + 1)),
                HasSubstr("expected from 1 to 256 calls, got 257"));
}

// ---- the dry run ----

TEST(ScenarioCheck, Names) {
    EXPECT_THAT(error_of_step("touch = { range = 'heep' }"),
                HasSubstr("s.toml:4: key 'step[1].touch.range': no earlier step defines a range 'heep'"));
    EXPECT_THAT(error_of_step("map = { name = 'heap', size = 4096 }"), HasSubstr("the name 'heap' is taken"));
    EXPECT_THAT(error_of([] {
                    with_heap("[[step]]\nunmap = { range = 'heap' }\n[[step]]\ntouch = { range = 'heap' }\n");
                }),
                HasSubstr("s.toml:6: key 'step[2].touch.range': nothing is mapped at 'heap' any more"));
    EXPECT_THAT(error_of([] {
                    with_heap(
                        "[[step]]\nunmap = { range = 'heap' }\n[[step]]\ninflate = { range = 'heap', "
                        "from = '256MiB', to = '128MiB', seconds = 0, steps = 1 }\n");
                }),
                HasSubstr("s.toml:6: key 'step[2].inflate.range': nothing is mapped at 'heap' any more"));
    EXPECT_EQ(error_of([] {
                  with_heap(
                      "[[step]]\nunmap = { range = 'heap' }\n[[step]]\naccess = { range = 'heap', kind = "
                      "'read' }\nexpect = { fault = 'read' }\n");
              }),
              "no error");
    EXPECT_EQ(
        error_of([] {
            with_heap(
                "[[step]]\nunmap = { range = 'heap' }\n[[step]]\nmap = { name = 'heap', size = 4096 }\n");
        }),
        "no error");
    EXPECT_THAT(error_of_step("map = { name = '1x', size = 4096 }"), HasSubstr("expected a name"));
    EXPECT_THAT(error_of_step("touch = { range = '4GiB' }"), HasSubstr("expected the name of a range"));
    EXPECT_THAT(error_of_step("touch = { range = 'heap', at = '4GiB' }"),
                HasSubstr("says the same as 'range'"));
    EXPECT_THAT(error_of_step("touch = { at = '4GiB' }"), HasSubstr("missing 'size' or 'len'"));
}

TEST(ScenarioCheck, FailedStepsDefineNothing) {
    EXPECT_THAT(error_of([] {
                    with_heap(
                        "[[step]]\nalias = { range = 'heap', name = 'v' }\nexpect = { errno = 'ENOMEM' "
                        "}\n[[step]]\ntouch = { range = 'v' }\n");
                }),
                HasSubstr("no earlier step defines a range 'v'"));
}

TEST(ScenarioCheck, SizesFollowTheCalls) {
    EXPECT_THAT(error_of_step("touch = { range = 'heap', size = '257MiB' }"),
                HasSubstr("'heap' has 256 MiB here; [0 B, +257 MiB) of it reaches beyond"));
    EXPECT_THAT(error_of_step("touch = { range = 'heap', offset = '257MiB' }"),
                HasSubstr("behind the end of 'heap'"));
    const char* grown =
        "[[step]]\nlinux = { range = 'heap', new_size = '512MiB', flags = ['MAYMOVE'] }\n[[step]]\ntouch = { "
        "range = 'heap', size = '512MiB' }\n";
    EXPECT_EQ(error_of([&] { with_heap(grown); }), "no error");
    const char* shrunk =
        "[[step]]\nshrink = { range = 'heap', new_size = '4KiB' }\n[[step]]\ntouch = { range = 'heap', size "
        "= '8KiB' }\n";
    EXPECT_THAT(error_of([&] { with_heap(shrunk); }), HasSubstr("'heap' has 4 KiB here"));
}

TEST(ScenarioCheck, Aperture) {
    EXPECT_THAT(error_of_step("move = { range = 'heap', to = '1GiB' }"),
                HasSubstr("s.toml:4: key 'step[1].move.to': [1 GiB, +256 MiB) is outside of the aperture, "
                          "which is [4 GiB, +64 GiB)"));
    EXPECT_THAT(error_of_step("move = { range = 'heap', to = '68GiB-4KiB' }"),
                HasSubstr("outside of the aperture"));
    EXPECT_THAT(error_of_step("map = { size = '65GiB' }"),
                HasSubstr("65 GiB is more than the aperture holds, 64 GiB"));
    EXPECT_THAT(error_of_step("touch = { at = '68GiB', size = '4KiB' }"),
                HasSubstr("outside of the aperture"));
    EXPECT_EQ(error_of_step("move = { range = 'heap', to = '68GiB-256MiB' }"), "no error");
}

// A ring: the second view begins where the first ends.
TEST(ScenarioCheck, AccessesGoOnIntoARangeThatTouches) {
    for (const char* map :
         {"map = { name = 'a', at = '8GiB', size = '4MiB' }", "map = { name = 'a', size = '4MiB' }"}) {
        const std::string ring = std::string("[[step]]\n") + map +
                                 "\n[[step]]\nalias = { range = 'a', to = 'a+4MiB', name = 'b' }\n[[step]]\n";
        for (const char* access :
             {"fill = { range = 'a', size = '8MiB', with = 'a' }",
              "verify = { range = 'a', size = '8MiB', with = 'a' }",
              "verify = { range = 'a', offset = '2MiB', size = '4MiB', with = 'a' }",
              "copy = { from = 'a', to = 'heap', size = '8MiB' }",
              "copy = { from = 'heap', to = 'a', size = '8MiB' }", "touch = { range = 'a', size = '8MiB' }"})
            EXPECT_EQ(error_of([&] { with_heap(ring + access + "\n"); }), "no error") << access;
        EXPECT_THAT(
            error_of([&] { with_heap(ring + "verify = { range = 'a', size = '8196KiB', with = 'a' }\n"); }),
            HasSubstr("'a' has 4 MiB here; [0 B, +8196 KiB) of it reaches beyond"));
        EXPECT_THAT(
            error_of([&] {
                with_heap(ring +
                          "unmap = { range = 'b' }\n[[step]]\ntouch = { range = 'a', size = '8MiB' }\n");
            }),
            HasSubstr("reaches beyond"));
    }
}

// Below zero an address wraps round, to where addresses that are not known yet are made up.
TEST(ScenarioCheck, ApertureBelowZero) {
    const std::string fixed = "[[step]]\nmap = { name = 'fixed', at = '8GiB', size = '4KiB' }\n[[step]]\n";
    EXPECT_THAT(error_of([&] { with_heap(fixed + "move = { range = 'fixed', to = 'fixed-99GiB' }\n"); }),
                HasSubstr("s.toml:6: key 'step[2].move.to': below address 0, for 'fixed' is at 8 GiB here"));
    EXPECT_THAT(error_of([&] { with_heap(fixed + "move = { range = 'fixed', to = 'fixed-7GiB' }\n"); }),
                HasSubstr("[1 GiB, +4 KiB) is outside of the aperture"));
    EXPECT_THAT(error_of_step("move = { range = 'heap', to = '8GiB-99GiB' }"),
                HasSubstr("outside of the aperture"));
    EXPECT_THAT(error_of_step("move = { range = 'heap', to = '2097152TiB' }"),
                HasSubstr("outside of the aperture"));
    EXPECT_EQ(error_of_step("move = { range = 'heap', to = 'heap-1GiB' }"), "no error");
}

TEST(ScenarioCheck, WhatIsWrongOnPurposePasses) {
    for (const char* step : {"move = { range = 'heap', to = '1GiB' }\nexpect = { errno = 'ERANGE' }",
                             "map = { size = '18446744073709551615' }\nexpect = { errno = 'EINVAL' }",
                             "unmap = { at = '4GiB+1B', size = 7 }\nexpect = { errno = 'EINVAL' }",
                             "release = { range = 'heap', size = '1GiB' }\nexpect = { errno = 'EFAULT' }",
                             "access = { at = '70GiB', kind = 'write' }\nexpect = { fault = 'write' }"})
        EXPECT_EQ(error_of_step(step), "no error") << step;
}

TEST(ScenarioCheck, RepeatIsFollowedTwice) {
    EXPECT_THAT(error_of_step("repeat = { times = 2, steps = [ { map = { name = 'x', size = 4096 } } ] }"),
                HasSubstr("the name 'x' is taken"));
    EXPECT_EQ(error_of_step("repeat = { times = 1, steps = [ { map = { name = 'x', size = 4096 } } ] }"),
              "no error");
    EXPECT_EQ(error_of_step("repeat = { times = 2, steps = [ { map = { name = 'x', size = 4096 } }, { unmap "
                            "= { range = 'x' } } ] }"),
              "no error");
}

TEST(ScenarioCheck, BatchesUseNoAddressThatIsStillToBeChosen) {
    EXPECT_THAT(
        error_of_step("batch = [ { map = { name = 'x', size = 4096 } }, { protect = { range = 'x', prot = "
                      "'r' } } ]"),
        HasSubstr("key 'step[1].batch[1].protect.range': where 'x' will be is not known"));
    EXPECT_THAT(
        error_of_step(
            "batch = [ { grow = { range = 'heap', new_size = '1GiB', may_move = true } }, { seal = { range = "
            "'heap' } } ]"),
        HasSubstr("where 'heap' will be is not known"));
    EXPECT_EQ(error_of_step(
                  "batch = [ { move = { range = 'heap', to = '8GiB' } }, { seal = { range = 'heap' } } ]"),
              "no error");
}

TEST(ScenarioCheck, AnAddressThatLinuxDoesNotLookAtBuriesNothing) {
    const char* text =
        "[[step]]\nmap = { name = 'x', at = '8GiB', size = '4KiB' }\n"
        "[[step]]\nlinux = { range = 'heap', new_size = '512MiB', to = '8GiB', flags = ['MAYMOVE'] }\n"
        "[[step]]\ntouch = { range = 'x' }\n";
    EXPECT_EQ(error_of([&] { with_heap(text); }), "no error");
}

// ---- names ----

TEST(Names, FollowAMove) {
    Names names;
    names.define("whole", {16, 8});
    names.define("part", {18, 2});
    names.define("other", {100, 8});
    names.relocate(16, 8, 64, 16);
    EXPECT_EQ(names.find("whole")->at, 64u);
    EXPECT_EQ(names.find("whole")->size, 16u);
    EXPECT_EQ(names.find("part")->at, 66u);
    EXPECT_EQ(names.find("part")->size, 2u);
    EXPECT_EQ(names.find("other")->at, 100u);
    EXPECT_EQ(names.find("none"), nullptr);
}

TEST(Names, AShrinkCutsThemOff) {
    Names names;
    names.define("whole", {16, 8});
    names.define("cut", {18, 4});
    names.define("gone", {20, 4});
    names.relocate(16, 8, 16, 4);
    EXPECT_EQ(names.find("whole")->size, 4u);
    EXPECT_EQ(names.find("cut")->size, 2u);
    EXPECT_EQ(names.find("gone")->state, NamedRange::State::unmapped);
}

TEST(Names, BuriedUnderADestination) {
    Names names;
    names.define("moved", {16, 8});
    names.define("buried", {64, 4});
    names.relocate(16, 8, 60, 8);
    EXPECT_EQ(names.find("moved")->at, 60u);
    EXPECT_EQ(names.find("buried")->state, NamedRange::State::unmapped);
}

TEST(Names, Exchange) {
    Names names;
    names.define("a", {16, 8});
    names.define("b", {64, 4});
    names.exchange(16, 60, 8);
    EXPECT_EQ(names.find("a")->at, 60u);
    EXPECT_EQ(names.find("b")->at, 20u);
}

TEST(Names, TopOfTheAddressSpace) {
    Names names;
    names.define("top", {~0ull - 7, 8});
    names.unmap(~0ull - 15, 8);
    EXPECT_EQ(names.find("top")->state, NamedRange::State::mapped);
    names.unmap(~0ull - 15, 16);
    EXPECT_EQ(names.find("top")->state, NamedRange::State::unmapped);
}

}  // namespace
}  // namespace gpremap
