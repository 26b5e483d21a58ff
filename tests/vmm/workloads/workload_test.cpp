// [[workload]] as a scenario states it.
#include "vmm/workloads/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Workload read(const std::string& keys) {
    const TomlFile file = TomlFile::parse("[[workload]]\n" + keys, "configs/test.toml");
    return read_workload(file.root().at("workload").tables().front());
}

std::string error_of(const std::string& keys) {
    try {
        read(keys);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

TEST(Workload, HasAllKeysOfTheContract) {
    const Workload workload = read(R"(
name = "writer"
vcpu = 1
do = "touch"
range = "heap"
access = "zipf"
write = 0.5
rate = "200k/s"
sample = "2ms"
seed = 7
)");
    EXPECT_EQ(workload.name, "writer");
    EXPECT_EQ(workload.vcpu, 1u);
    EXPECT_EQ(workload.does, GPREMAP_TOUCH);
    EXPECT_EQ(workload.range, "heap");
    EXPECT_EQ(workload.access, GPREMAP_ZIPF);
    EXPECT_EQ(workload.write, 0.5);
    EXPECT_EQ(workload.rate, 200'000);
    EXPECT_EQ(workload.sample_ns, 2'000'000u);
    EXPECT_EQ(workload.seed, 7u);
}

TEST(Workload, NeedsLittle) {
    const Workload workload = read("do = 'chase'\nvcpu = 2\nrange = 'heap'");
    EXPECT_EQ(workload.name, "chase");
    EXPECT_FALSE(workload.rate);
    EXPECT_EQ(read("name = 'stream'\nvcpu = 1\nrange = 'heap'").does, GPREMAP_STREAM);
    EXPECT_EQ(workload.sample_ns, 1'000'000u);
    EXPECT_EQ(read("do = 'jitter'\nvcpu = 1").sample_ns, 100'000u);
}

TEST(Workload, ReadsRates) {
    auto rate = [](const std::string& text) {
        return *read("do = 'touch'\nvcpu = 1\nrange = 'heap'\nrate = " + text).rate;
    };
    EXPECT_EQ(rate("'1.5M/s'"), 1'500'000);
    EXPECT_EQ(rate("'300/s'"), 300);
    EXPECT_EQ(rate("5000"), 5000);
    for (const char* wrong : {"'fast'", "'200k'", "'/s'", "'k/s'", "0", "-5", "'2G/s'", "true"})
        EXPECT_THAT(error_of(std::string("do = 'touch'\nvcpu = 1\nrange = 'heap'\nrate = ") + wrong),
                    HasSubstr("configs/test.toml:5: key 'workload[0].rate': expected "))
            << wrong;
}

TEST(Workload, FindsItsProgramBesideTheScenario) {
    const Workload workload =
        read("do = 'program'\nvcpu = 1\nprogram = 'bin/store'\narguments = ['snapshot', 4096]");
    EXPECT_EQ(workload.program, "configs/bin/store");
    EXPECT_THAT(workload.arguments, ElementsAre("snapshot", "4096"));
    EXPECT_EQ(read("do = 'program'\nvcpu = 1\nprogram = '/bin/store'").program, "/bin/store");
}

TEST(Workload, SaysWhatIsMissing) {
    EXPECT_THAT(error_of("vcpu = 1"), HasSubstr("key 'workload[0].do': missing; expected one of \"stream\""));
    EXPECT_THAT(error_of("do = 'touch'"), HasSubstr("key 'workload[0].vcpu': missing"));
    EXPECT_THAT(error_of("do = 'touch'\nvcpu = 1"), HasSubstr("key 'workload[0].range': missing"));
    EXPECT_THAT(error_of("do = 'program'\nvcpu = 1"), HasSubstr("key 'workload[0].program': missing"));
    EXPECT_THAT(error_of("do = 'dance'\nvcpu = 1"), HasSubstr("expected one of \"stream\""));
}

TEST(Workload, RefusesWhatItsKindDoesNotHave) {
    EXPECT_THAT(error_of("do = 'chase'\nvcpu = 1\nrange = 'heap'\nwrite = 0.5"),
                HasSubstr("only do = \"touch\" has this"));
    EXPECT_THAT(error_of("do = 'jitter'\nvcpu = 1\nrange = 'heap'"), HasSubstr("only do = \"stream\" or"));
    EXPECT_THAT(error_of("do = 'jitter'\nvcpu = 1\nrate = 5"), HasSubstr("only do = "));
    EXPECT_THAT(error_of("do = 'touch'\nvcpu = 1\nrange = 'heap'\nprogram = 'x'"),
                HasSubstr("only do = \"program\" has this"));
    EXPECT_THAT(error_of("do = 'touch'\nvcpu = 1\nrange = 'heap'\ncolour = 'x'"), HasSubstr("unknown key"));
}

TEST(Workload, RefusesValuesOutOfReach) {
    EXPECT_THAT(error_of("do = 'touch'\nvcpu = 8\nrange = 'heap'"), HasSubstr("an integer from 0 to 7"));
    EXPECT_THAT(error_of("do = 'touch'\nvcpu = 1\nrange = 'heap'\nwrite = 1.5"),
                HasSubstr("a share from 0.0 to 1.0"));
    EXPECT_THAT(error_of("do = 'jitter'\nvcpu = 1\nsample = '1ms'"), HasSubstr("from \"10us\" to \"100us\""));
    EXPECT_THAT(error_of("do = 'touch'\nvcpu = 1\nrange = 'heap'\nsample = '1us'"),
                HasSubstr("from \"10us\" to \"10s\""));
    EXPECT_THAT(
        error_of("do = 'program'\nvcpu = 1\nprogram = 'x'\narguments = ['" + std::string(1024, 'x') + "']"),
        HasSubstr("expected at most 1024 bytes"));
}

}  // namespace
}  // namespace gpremap
