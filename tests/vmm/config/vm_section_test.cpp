// [vm] cpus and host_cpus.
#include "vmm/config/vm_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using Rule = PlacementConfig::Rule;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

PlacementConfig placement_of(const std::string& keys) {
    const TomlFile file = TomlFile::parse("[vm]\n" + keys, "s.toml");
    return read_vm(file.root().at("vm").table(), MachineConfig()).placement;
}

std::string complaint_about(const std::string& keys) {
    try {
        placement_of(keys);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

TEST(Placement, SpreadsWithoutAWord) {
    const PlacementConfig placement = placement_of("");
    EXPECT_EQ(placement.rule, Rule::spread);
    EXPECT_THAT(placement.cpus, IsEmpty());
    EXPECT_THAT(placement.host_cpus, IsEmpty());
    EXPECT_EQ(placement_of("cpus = \"spread\"").rule, Rule::spread);
    EXPECT_EQ(placement_of("cpus = \"any\"").rule, Rule::any);
}

TEST(Placement, IsWhatIsStated) {
    const PlacementConfig placement = placement_of("vcpus = 2\ncpus = [3, 1]\nhost_cpus = [0, 2]");
    EXPECT_EQ(placement.rule, Rule::stated);
    EXPECT_THAT(placement.cpus, ElementsAre(3, 1));
    EXPECT_THAT(placement.host_cpus, ElementsAre(0, 2));
    EXPECT_EQ(placement.cpus_place, "s.toml:3: key 'vm.cpus': ");
    EXPECT_EQ(placement.host_cpus_place, "s.toml:4: key 'vm.host_cpus': ");
    EXPECT_THAT(placement_of("host_cpus = [1]").host_cpus, ElementsAre(1));
}

TEST(Placement, IsRefusedWithItsPlace) {
    const std::pair<const char*, const char*> wrong[] = {
        {"vcpus = 2\ncpus = [1]", "s.toml:3: key 'vm.cpus': expected 2 processors, one for each vCPU, got 1"},
        {"cpus = [1, 2]", "s.toml:2: key 'vm.cpus': expected 1 processor, one for each vCPU, got 2"},
        {"cpus = []", "expected 1 processor, one for each vCPU, got 0"},
        {"vcpus = 2\ncpus = [1, 1]", "s.toml:3: key 'vm.cpus[1]': processor 1 is named twice"},
        {"cpus = [-1]", "key 'vm.cpus[0]': expected an integer from 0 to 8191, got -1"},
        {"cpus = [9000]", "got 9000"},
        {"cpus = [\"1\"]", "got \"1\""},
        {"cpus = 1", "expected \"spread\", \"any\" or a list of processors, one for each vCPU, got 1"},
        {"cpus = \"all\"", "expected one of \"spread\", \"any\", got \"all\""},
        {"host_cpus = []", "s.toml:2: key 'vm.host_cpus': expected at least one processor"},
        {"host_cpus = [0, 0]", "key 'vm.host_cpus[1]': processor 0 is named twice"},
        {"host_cpus = \"any\"", "key 'vm.host_cpus': expected an array"},
        {"cpus = \"any\"\nhost_cpus = [0]", "s.toml:3: key 'vm.host_cpus': with cpus = \"any\""},
    };
    for (const auto& [keys, complaint] : wrong)
        EXPECT_THAT(complaint_about(keys), HasSubstr(complaint)) << keys;
}

}  // namespace
}  // namespace gpremap
