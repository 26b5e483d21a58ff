// What the host says of itself in /proc and /sys, and what it does not say.
#include "vmm/host/conditions.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace gpremap {
namespace {

namespace fs = std::filesystem;

fs::path new_folder() {
    std::string name = fs::temp_directory_path() / "conditions-XXXXXX";
    return mkdtemp(name.data());
}

class Conditions : public testing::Test {
  protected:
    ~Conditions() override { fs::remove_all(root_); }

    void write(const fs::path& name, const std::string& text) {
        fs::create_directories((root_ / name).parent_path());
        std::ofstream(root_ / name) << text;
    }

    const fs::path root_ = new_folder();
};

TEST_F(Conditions, AreWhatTheHostSays) {
    write("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n");
    write("sys/devices/system/cpu/cpufreq/policy1/scaling_governor", "performance\n");
    write("sys/devices/system/cpu/cpufreq/policy2/scaling_governor", "powersave\n");
    write("proc/loadavg", "0.50 1.25 2.00 3/400 12345\n");
    write("proc/stat", "cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
    write("proc/pressure/cpu",
          "some avg10=12.50 avg60=3.25 avg300=1.00 total=98765\nfull avg10=1.00 avg60=0.00\n");
    const HostConditions conditions = read_conditions(root_);
    EXPECT_EQ(conditions.governor, "performance, powersave");
    EXPECT_EQ(conditions.load, (std::array{0.5, 1.25, 2.0}));
    EXPECT_EQ(conditions.steal_ms, 80'000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK)));
    ASSERT_TRUE(conditions.pressure.at("cpu"));
    EXPECT_EQ(conditions.pressure.at("cpu")->avg10, 12.5);
    EXPECT_EQ(conditions.pressure.at("cpu")->avg60, 3.25);
    EXPECT_EQ(conditions.pressure.at("cpu")->total_us, 98765u);
    EXPECT_FALSE(conditions.pressure.at("io"));
}

TEST_F(Conditions, AreNothingWhereItSaysNothing) {
    const HostConditions conditions = read_conditions(root_);
    EXPECT_EQ(conditions.governor, std::nullopt);
    EXPECT_EQ(conditions.load, std::nullopt);
    EXPECT_EQ(conditions.steal_ms, std::nullopt);
    for (const char* resource : {"cpu", "memory", "io"}) EXPECT_FALSE(conditions.pressure.at(resource));
}

TEST(ConditionsHere, AreRead) {
    const HostConditions conditions = read_conditions();
    EXPECT_TRUE(conditions.load);
    EXPECT_TRUE(conditions.steal_ms);
}

}  // namespace
}  // namespace gpremap
