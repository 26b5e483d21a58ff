// Domains as VMs: libvirt's test driver reads them, without a daemon.
#include "vmm/libvirt/domain.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/config/parameters.h"
#include "vmm/scenario/reading.h"

namespace gpremap {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr uint64_t MiB = 1ull << 20;
constexpr uint64_t GiB = 1ull << 30;

// `inside` begins on line 3.
std::string xml_of(std::string_view inside, std::string_view type = "kvm") {
    return fmt::format(
        "<domain type='{}'>\n<name>guest</name>\n{}\n<os><type arch='x86_64'>hvm</type></os>\n</domain>\n",
        type, inside);
}

VmDomain domain_of(std::string_view inside) {
    return parse_domain(xml_of(inside), "d.xml");
}

std::string error_of(const std::string& xml) {
    try {
        parse_scenario(xml, "d.xml");
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

std::string error_in(std::string_view inside) {
    return error_of(xml_of(inside));
}

std::vector<std::string> names_of(const VmDomain& domain) {
    std::vector<std::string> names;
    for (const DomainRange& range : domain.ranges)
        names.push_back(fmt::format("{} {}", range.name, format_size(range.size)));
    return names;
}

constexpr std::string_view growable = R"(<maxMemory slots='{}' unit='GiB'>4</maxMemory>
<memory unit='MiB'>{}</memory>
<vcpu>1</vcpu>
<cpu><numa><cell id='0' cpus='0' memory='256' unit='MiB'/></numa></cpu>
<devices>
{}
</devices>)";
constexpr std::string_view dimm =
    "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>\n";

// ---- what becomes of what ----

TEST(Domain, WithoutNodes) {
    VmDomain domain = domain_of("<memory unit='MiB'>512</memory>\n<vcpu>3</vcpu>");
    EXPECT_EQ(domain.name, "guest");
    EXPECT_EQ(domain.machine.vcpus, 3u);
    EXPECT_EQ(domain.machine.memory.limit, 512 * MiB);
    EXPECT_EQ(domain.machine.memory.backing, Backing::automatic);
    EXPECT_EQ(domain.machine.memory.granule, 4096u);
    EXPECT_THAT(names_of(domain), ElementsAre("node0 512 MiB"));
    EXPECT_EQ(domain.ranges[0].at, 4 * GiB);
    EXPECT_EQ(domain.ranges[0].line, 3u);
    EXPECT_EQ(domain.ranges[0].residency, DomainRange::Residency::on_touch);
}

TEST(Domain, UnitsAreLibvirts) {
    EXPECT_EQ(domain_of("<memory unit='bytes'>1073741824</memory>").machine.memory.limit, GiB);
    EXPECT_EQ(domain_of("<memory>1048576</memory>").machine.memory.limit, GiB);
    EXPECT_EQ(domain_of("<memory unit='MB'>1024</memory>").machine.memory.limit, 1024'000'000u / 4096 * 4096);
}

TEST(Domain, VcpusThatAreOnAtTheStart) {
    EXPECT_EQ(domain_of("<memory>1048576</memory><vcpu current='2'>16</vcpu>").machine.vcpus, 2u);
}

TEST(Domain, TheBalloonTakesFromTheEnd) {
    VmDomain domain = domain_of(
        "<memory unit='MiB'>512</memory>\n<currentMemory unit='MiB'>192</currentMemory>\n<vcpu>2</vcpu>\n"
        "<cpu><numa><cell id='0' cpus='0' memory='256' unit='MiB'/>\n"
        "<cell id='1' cpus='1' memory='256' unit='MiB'/></numa></cpu>");
    EXPECT_THAT(names_of(domain), ElementsAre("node0 192 MiB"));
    EXPECT_EQ(domain.machine.memory.limit, 512 * MiB);
}

TEST(Domain, NodesAndDevicesAreRanges) {
    VmDomain domain = domain_of(
        fmt::format(fmt::runtime(growable), 4, 256 + 128 + 512,
                    std::string(dimm) +
                        "<memory model='virtio-mem'><target><size unit='MiB'>512</size><node>0</node>"
                        "<block unit='MiB'>2</block><requested unit='MiB'>64</requested></target></memory>"));
    EXPECT_THAT(names_of(domain), ElementsAre("node0 256 MiB", "dimm0 128 MiB", "virtio_mem0 64 MiB"));
    EXPECT_EQ(domain.ranges[1].line, 8u);
    EXPECT_EQ(domain.ranges[2].room, 512 * MiB);
    EXPECT_EQ(domain.machine.memory.limit, 4 * GiB);
    EXPECT_EQ(domain.machine.memory.aperture_size, 64 * GiB);
    EXPECT_EQ(domain.mapped(), 448 * MiB);
}

TEST(Domain, TheApertureHasRoomForAll) {
    VmDomain domain = domain_of("<memory unit='GiB'>100</memory>");
    EXPECT_EQ(domain.machine.memory.aperture_size, 100 * GiB);
    EXPECT_EQ(domain.machine.memory.limit, 100 * GiB);
}

TEST(Domain, Backing) {
    auto memory = [](std::string_view backing) {
        return domain_of(
                   fmt::format("<memory unit='MiB'>64</memory><memoryBacking>{}</memoryBacking>", backing))
            .machine.memory;
    };
    EXPECT_EQ(memory("<source type='memfd'/>").backing, Backing::memfd);
    EXPECT_EQ(memory("<source type='anonymous'/>").backing, Backing::anon);
    for (const char* pages : {"<hugepages/>", "<hugepages><page size='2' unit='MiB'/></hugepages>",
                              "<hugepages><page size='2048'/></hugepages><source type='memfd'/>"}) {
        EXPECT_EQ(memory(pages).backing, Backing::hugetlb_2m) << pages;
        EXPECT_EQ(memory(pages).granule, 2 * MiB) << pages;
    }
}

TEST(Domain, ResidencyBecomesSteps) {
    auto verbs = [](std::string_view backing) {
        Scenario scenario = parse_scenario(
            xml_of(fmt::format("<memory unit='MiB'>64</memory><memoryBacking>{}</memoryBacking>", backing)),
            "d.xml");
        std::vector<std::string> all;
        for (const ScenarioStep& step : scenario.steps) all.push_back(step.verb);
        return all;
    };
    EXPECT_THAT(verbs(""), ElementsAre("map"));
    EXPECT_THAT(verbs("<allocation mode='immediate'/>"), ElementsAre("map", "touch"));
    EXPECT_THAT(verbs("<locked/>"), ElementsAre("map", "lock"));
}

TEST(Domain, AHardLimitIsALimit) {
    EXPECT_EQ(domain_of("<memory unit='MiB'>512</memory><currentMemory unit='MiB'>128</currentMemory>"
                        "<memtune><hard_limit unit='MiB'>256</hard_limit></memtune>")
                  .machine.memory.limit,
              256 * MiB);
    EXPECT_THAT(error_in("<memory unit='MiB'>512</memory>\n<memtune>\n<hard_limit unit='MiB'>256</hard_limit>"
                         "</memtune>"),
                HasSubstr("d.xml:5: <hard_limit> of 262144 KiB is less than the domain begins with"));
}

TEST(Domain, NameOfTheTestDriversOwn) {
    EXPECT_EQ(parse_domain("<domain type='kvm'><name>test</name><memory>4096</memory>"
                           "<os><type>hvm</type></os></domain>",
                           "d.xml")
                  .name,
              "test");
}

// ---- what has no meaning, and what has too much ----

TEST(Domain, IgnoredElementsAreListed) {
    VmDomain domain = domain_of(
        "<memory unit='MiB'>64</memory>\n<memoryBacking>\n<nosharepages/>\n</memoryBacking>\n"
        "<clock offset='utc'/>\n<devices>\n<graphics type='vnc'/>\n</devices>");
    EXPECT_THAT(domain.ignored, ElementsAre("d.xml:5: <nosharepages> is ignored: pages are never merged here",
                                            "d.xml:7: <clock> is ignored: has no meaning here",
                                            "d.xml:9: <graphics> is ignored: has no meaning here"));
}

TEST(Domain, RefusesWhatItCannotBe) {
    std::string memory = "<memory unit='MiB'>64</memory>\n";
    EXPECT_THAT(error_in(memory + "<vcpu>9</vcpu>"),
                HasSubstr("d.xml:4: <vcpu>: expected 1 to 8 vCPUs, got 9"));
    EXPECT_THAT(error_in(memory + "<devices>\n<hostdev mode='subsystem' type='pci'><source>"
                                  "<address domain='0' bus='1' slot='0' function='0'/></source></hostdev>"
                                  "</devices>"),
                HasSubstr("d.xml:5: <hostdev>: a device of the host"));
    EXPECT_THAT(
        error_in(memory + "<memoryBacking>\n<hugepages><page size='16' unit='MiB'/></hugepages>"
                          "</memoryBacking>"),
        HasSubstr("d.xml:5: <hugepages> of 16384 KiB: a backing has huge pages of 2 MiB or of 1 GiB"));
    EXPECT_THAT(error_in(memory + "<memoryBacking>\n<source type='file'/></memoryBacking>"),
                HasSubstr("d.xml:5: <source type='file'>"));
    EXPECT_THAT(
        error_in("<memory unit='MiB'>63</memory><memoryBacking><hugepages/></memoryBacking>"),
        HasSubstr("d.xml:3: node0 of 64512 KiB is not a multiple of the unit of remapping, 2048 KiB"));
    EXPECT_THAT(
        error_in(memory +
                 "<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>"),
        HasSubstr("d.xml:3: node0 of 65536 KiB is not a multiple of the unit of remapping, 1048576 KiB"));
}

TEST(Domain, RefusesWhatTheTestDriverLetsThrough) {
    std::string three = std::string(dimm) + std::string(dimm) + std::string(dimm);
    EXPECT_EQ(error_in(fmt::format(fmt::runtime(growable), 3, 256 + 3 * 128, three)), "no error");
    EXPECT_THAT(error_in(fmt::format(fmt::runtime(growable), 2, 256 + 3 * 128, three)),
                HasSubstr("d.xml:10: DIMM number 3, but <maxMemory> has 2 slots"));
    EXPECT_THAT(error_in("<memory unit='MiB'>384</memory><vcpu>1</vcpu>\n<cpu><numa>"
                         "<cell id='0' cpus='0' memory='256' unit='MiB'/></numa></cpu>\n<devices>\n" +
                         std::string(dimm) + "</devices>"),
                HasSubstr("d.xml:6: a memory device needs <maxMemory"));
}

TEST(Domain, LibvirtsOwnMessagesWithTheLine) {
    EXPECT_THAT(error_of("<domain type='kvm'>\n<name>guest</nam>\n</domain>"),
                AllOf(StartsWith("d.xml:2: libvirt refuses the domain: "), HasSubstr("mismatch")));
    EXPECT_THAT(error_in("<memory unit='MiB'>64</memory>\n<nonsense/>"),
                AllOf(StartsWith("d.xml:4: libvirt refuses the domain: "), HasSubstr("nonsense")));
    EXPECT_THAT(error_in("<memory unit='MiB'>64</memory>\n\n<vcpu current='2'>1</vcpu>"),
                StartsWith("d.xml:"));
    EXPECT_THAT(error_of("<domain type='kvm'><name>guest</name></domain>"),
                StartsWith("d.xml:1: libvirt refuses the domain: "));
    EXPECT_THAT(error_of("<!-- nothing -->"), StartsWith("d.xml:"));
}

// ---- as QEMU's driver would have it ----

constexpr std::string_view two_cells =
    "<vcpu>2</vcpu>\n<cpu><numa><cell id='0' cpus='0' memory='256' unit='MiB'/>\n"
    "<cell id='1' cpus='1' memory='256' unit='MiB'/></numa></cpu>";

TEST(Domain, MemoryIsTheSumOfTheCells) {
    for (const char* memory : {"<memory unit='MiB'>256</memory>", "<memory unit='GiB'>4</memory>", ""}) {
        VmDomain domain = domain_of(fmt::format("{}\n{}", memory, two_cells));
        EXPECT_THAT(names_of(domain), ElementsAre("node0 256 MiB", "node1 256 MiB")) << memory;
        EXPECT_EQ(domain.machine.memory.limit, 512 * MiB) << memory;
    }
    EXPECT_THAT(names_of(domain_of(fmt::format("<memory unit='MiB'>256</memory>"
                                               "<currentMemory unit='MiB'>400</currentMemory>{}",
                                               two_cells))),
                ElementsAre("node0 256 MiB", "node1 144 MiB"));
}

std::string huge_pages(std::string_view pages) {
    return fmt::format(
        "<memory unit='MiB'>512</memory>\n<memoryBacking><hugepages>\n{}</hugepages>"
        "</memoryBacking>\n{}",
        pages, two_cells);
}

TEST(Domain, HugePagesOfEveryNodeAreThoseOfAll) {
    for (const char* pages : {"<page size='2' unit='MiB' nodeset='0-1'/>",
                              "<page size='2048' nodeset='0'/><page size='2048' nodeset='1'/>",
                              "<page size='2048'/><page size='2048' nodeset='1'/>"})
        EXPECT_EQ(domain_of(huge_pages(pages)).machine.memory.backing, Backing::hugetlb_2m) << pages;
    EXPECT_THAT(error_in(huge_pages("<page size='2' unit='MiB' nodeset='0'/>")),
                HasSubstr("d.xml:5: <hugepages> for some nodes, and none for node 1"));
}

TEST(Domain, PinningIsByDevice) {
    auto with = [](std::string_view device) {
        return error_in(fmt::format("<memory unit='MiB'>64</memory>\n<devices>\n{}</devices>", device));
    };
    constexpr const char* address = "<address domain='0' bus='1' slot='0' function='0'/>";
    EXPECT_THAT(with("<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>"),
                HasSubstr("d.xml:5: <interface>: a device of the host"));
    EXPECT_THAT(with(fmt::format("<disk type='nvme' device='disk'><source type='pci' managed='yes' "
                                 "namespace='1'>{}</source><target dev='vda' bus='virtio'/></disk>",
                                 address)),
                HasSubstr("d.xml:5: <disk>: a device of the host"));
    EXPECT_EQ(with("<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/>"
                   "<product id='0xbeef'/></source></hostdev>"),
              "no error");
    EXPECT_EQ(with("<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/>"
                   "<address bus='0' target='0' unit='0'/></source></hostdev>"),
              "no error");
}

TEST(Domain, MemoryThatGrowsNeedsANode) {
    constexpr std::string_view nodeless =
        "<maxMemory slots='2' unit='MiB'>2048</maxMemory>\n<memory unit='MiB'>512</memory>\n<devices>\n"
        "<memory model='{}'><target><size unit='MiB'>128</size>{}</target></memory></devices>";
    EXPECT_THAT(error_in(fmt::format(fmt::runtime(nodeless), "dimm", "")),
                HasSubstr("d.xml:6: memory that can grow needs a NUMA node"));
    EXPECT_THAT(error_in(fmt::format(fmt::runtime(nodeless), "virtio-mem",
                                     "<block unit='MiB'>2</block><requested unit='MiB'>64</requested>")),
                HasSubstr("d.xml:6: memory that can grow needs a NUMA node"));
}

TEST(Domain, APageSizeThatIsTheBackings) {
    auto with = [](std::string_view backing, unsigned kib) {
        std::string device = fmt::format(
            "<memory model='dimm'><source><pagesize unit='KiB'>{}</pagesize></source>"
            "<target><size unit='MiB'>128</size><node>0</node></target></memory>",
            kib);
        return error_in(std::string(backing) + fmt::format(fmt::runtime(growable), 4, 384, device));
    };
    constexpr std::string_view huge = "<memoryBacking><hugepages/></memoryBacking>";
    EXPECT_EQ(with(huge, 2048), "no error");
    EXPECT_EQ(with("", 4), "no error");
    EXPECT_THAT(with(huge, 4), HasSubstr("d.xml:8: <pagesize> of 4 KiB: all memory of a VM has one backing"));
}

TEST(Domain, LinesAreOfTheElementThatIsMeant) {
    EXPECT_THAT(error_in(fmt::format(fmt::runtime(growable), 1, 384,
                                     "<memory model='dimm'><target><size unit='MiB'>128</size>\n"
                                     "<node>1</node></target></memory>")),
                StartsWith("d.xml:9: libvirt refuses"));
    EXPECT_THAT(
        error_in("<memory unit='MiB'>64</memory>\n<memoryBacking>\n<hugepages>\n"
                 "<page size='2' unit='MiB' nodeset='1'/></hugepages></memoryBacking>\n<vcpu>1</vcpu>"),
        StartsWith("d.xml:6: libvirt refuses"));
    EXPECT_THAT(error_in("<memory unit='MiB'>64</memory>\n<vcpu placement='static'>1</vcpu>\n<numatune>\n"
                         "<memory mode='strict' placement='static'/></numatune>"),
                StartsWith("d.xml:6: libvirt refuses"));
}

// ---- text of anybody's ----

TEST(Domain, RefusesADoctype) {
    EXPECT_EQ(error_of("<?xml version='1.0'?>\n<!DOCTYPE domain [<!ENTITY x '&x;'>]>\n<domain>&x;</domain>"),
              "d.xml:2: a DOCTYPE is not read, nor the entities in it; take it out");
    EXPECT_THAT(error_of("<?xml version='1.0' encoding='UTF-7'?>\n<domain/>"),
                HasSubstr("d.xml:1: an encoding other than UTF-8"));
}

TEST(Domain, RefusesWhatWouldTakeLong) {
    std::string attributes;
    for (int i = 0; i < 40'000; i++) attributes += fmt::format(" a{}=''", i);
    EXPECT_EQ(error_of("<domain\n" + attributes + "/>"), "d.xml:1: a tag longer than 16 KiB");
    EXPECT_EQ(error_of("<domain>" + std::string(2 * MiB, ' ') + "</domain>"),
              "d.xml:1: more than 1 MiB of XML");
}

TEST(Domain, MessagesHaveNothingOfTheFileInThem) {
    EXPECT_THAT(error_of("<domain type='kvm'>\n<name>guest</nam>secret\n</domain>"),
                AllOf(HasSubstr("mismatch"), Not(HasSubstr("secret"))));
    EXPECT_THROW(parse_domain("root:secret", "d.xml"), ConfigError);
}

// ---- with a scenario ----

std::string with_scenario(std::string_view toml) {
    return xml_of(
        fmt::format("<metadata>\n<g:scenario xmlns:g='urn:gpremap:scenario'><![CDATA[{}]]>"
                    "</g:scenario></metadata>\n<memory unit='MiB'>64</memory>",
                    toml));
}

TEST(DomainScenario, IsInItsMetadata) {
    Scenario scenario = parse_scenario(
        with_scenario("\n[vm]\nmechanism = 'memslot'\n[[step]]\nfill = { range = 'node0', with "
                      "= 'a' }\n"),
        "d.xml");
    EXPECT_EQ(scenario.machine.memory.mechanism, Mechanism::memslot);
    EXPECT_EQ(scenario.machine.memory.limit, 64 * MiB);
    ASSERT_EQ(scenario.steps.size(), 2u);
    EXPECT_EQ(scenario.steps[0].verb, "map");
    EXPECT_EQ(scenario.steps[1].place.line, 8u);
}

TEST(DomainScenario, ErrorsHaveTheLineInTheXml) {
    EXPECT_THAT(error_of(with_scenario("\n[[step]]\n\nfil = {}\n")),
                HasSubstr("d.xml:7: key 'step[0].fil': not a step"));
    EXPECT_THAT(error_of(with_scenario("[[step]\n")), HasSubstr("d.xml:4: not TOML"));
    EXPECT_THAT(error_of(with_scenario("\n[vm]\nlimit = '1GiB'\n")),
                HasSubstr("d.xml:6: key 'vm.limit': comes from the domain, d.xml; take it out here"));
}

TEST(DomainScenario, OverridesDecide) {
    Overrides overrides{Backing::memfd, std::nullopt, 2 * MiB};
    MemoryConfig memory = parse_scenario(with_scenario(""), "d.xml", overrides).machine.memory;
    EXPECT_EQ(memory.backing, Backing::memfd);
    EXPECT_EQ(memory.granule, 2 * MiB);
}

TEST(DomainScenario, HasParameters) {
    const std::string xml = with_scenario(
        "\n[parameters]\nhow = 'window'\n[vm]\nmechanism = '$how'\n[[step]]\ncheckpoint = true\n");
    EXPECT_EQ(parse_scenario(xml, "d.xml").machine.memory.mechanism, Mechanism::window);
    Overrides overrides;
    overrides.parameters = {read_setting("how=memslot")};
    const Scenario scenario = parse_scenario(xml, "d.xml", overrides);
    EXPECT_EQ(scenario.machine.memory.mechanism, Mechanism::memslot);
    EXPECT_THAT(scenario.parameters, testing::ElementsAre(ParameterAssignment{"how", "memslot"}));
}

TEST(DomainScenario, IsOne) {
    constexpr std::string_view one =
        "<g:scenario xmlns:g='urn:gpremap:scenario'>[[step]]\ncheckpoint = true</g:scenario>\n";
    EXPECT_THAT(error_in(fmt::format("<metadata>\n{}{}</metadata><memory unit='MiB'>64</memory>", one, one)),
                HasSubstr("d.xml:6: a second <scenario>: expected one"));
}

TEST(DomainScenario, WhatTheBalloonHoldsWholeCanGrow) {
    Scenario scenario = parse_scenario(
        xml_of(fmt::format("<metadata><g:scenario xmlns:g='urn:gpremap:scenario'>[[step]]\n"
                           "grow = {{ range = 'node1', new_size = '256MiB' }}\n[[step]]\n"
                           "touch = {{ range = 'node1' }}</g:scenario></metadata>"
                           "<memory unit='MiB'>512</memory><currentMemory unit='MiB'>256</currentMemory>{}",
                           two_cells)),
        "d.xml");
    ASSERT_EQ(scenario.steps.size(), 3u);
    EXPECT_EQ(scenario.steps[1].verb, "grow");
    EXPECT_EQ(std::get<CallAction>(scenario.steps[1].action).number, abi::Call::map);
}

TEST(DomainScenario, StepsMayMapTheirOwnMemory) {
    std::string xml = xml_of(
        "<metadata><g:scenario xmlns:g='urn:gpremap:scenario' memory='by-steps'>"
        "[[step]]\ncheckpoint = true</g:scenario></metadata><memory unit='MiB'>64</memory>");
    EXPECT_EQ(parse_scenario(xml, "d.xml").steps.size(), 1u);
}

}  // namespace
}  // namespace gpremap
