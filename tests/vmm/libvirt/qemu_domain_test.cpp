// What is written is what libvirt takes: its test driver validates each domain here, without a daemon.
#include "vmm/libvirt/qemu_domain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "vmm/libvirt/connection.h"

namespace gpremap {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t MiB = 1ull << 20;
constexpr uint64_t GiB = 1ull << 30;

struct FreeText {
    void operator()(char* text) const { std::free(text); }
};

// As libvirt has it, after it has validated it.
std::string defined(const QemuDomain& domain) {
    Connection connection = open_connection("test:///default");
    Domain handle(
        checked(virDomainDefineXMLFlags(connection.get(), to_xml(domain).c_str(), VIR_DOMAIN_DEFINE_VALIDATE),
                "cannot define " + to_xml(domain)));
    std::unique_ptr<char, FreeText> xml(checked(virDomainGetXMLDesc(handle.get(), 0), "cannot read it back"));
    checked(virDomainUndefine(handle.get()), "cannot undefine it");
    return xml.get();
}

QemuDomain small() {
    QemuDomain domain;
    domain.name = "guest";
    domain.type = QemuDomain::Type::kvm;
    domain.boot_memory = 256 * MiB;
    return domain;
}

TEST(QemuDomain, Small) {
    std::string xml = defined(small());
    EXPECT_THAT(xml, HasSubstr("<memory unit='KiB'>262144</memory>"));
    EXPECT_THAT(xml, HasSubstr("<currentMemory unit='KiB'>262144</currentMemory>"));
    EXPECT_THAT(xml, HasSubstr("<memballoon model='none'/>"));
    EXPECT_THAT(xml, Not(HasSubstr("<memoryBacking>")));
}

TEST(QemuDomain, Boot) {
    QemuDomain domain = small();
    domain.kernel = "/boot/vmlinuz";
    domain.initrd = "/boot/initrd & co";
    domain.cmdline = "console=ttyS0 memhp_default_state=online_movable";
    domain.serial_log = "/var/log/guest.log";
    domain.channels = {
        {QemuDomain::Channel::Kind::isa_serial, "/run/a.sock", "", QemuDomain::Channel::Listener::qemu},
        {QemuDomain::Channel::Kind::virtio_serial, "/run/b.sock", "org.gpremap.0",
         QemuDomain::Channel::Listener::qemu}};
    std::string xml = defined(domain);
    EXPECT_THAT(xml, HasSubstr("<kernel>/boot/vmlinuz</kernel>"));
    EXPECT_THAT(xml, HasSubstr("<initrd>/boot/initrd &amp; co</initrd>"));
    EXPECT_THAT(xml, HasSubstr("<cmdline>console=ttyS0 memhp_default_state=online_movable</cmdline>"));
    EXPECT_THAT(xml, HasSubstr("<source path='/var/log/guest.log'/>"));
    EXPECT_THAT(xml, HasSubstr("<source mode='bind' path='/run/a.sock'/>"));
    EXPECT_THAT(xml, HasSubstr("<target type='virtio' name='org.gpremap.0'/>"));
}

TEST(QemuDomain, MemoryThatGrows) {
    QemuDomain domain = small();
    domain.vcpus = 2;
    domain.max_memory = {4 * GiB, 8};
    domain.dimms = {{512 * MiB, 0}};
    domain.virtio_mems = {{.size = GiB, .block = 2 * MiB, .requested = 256 * MiB, .node = 0}};
    domain.balloon = {.stats_period = 1, .free_page_reporting = true};
    std::string xml = defined(domain);
    EXPECT_THAT(xml, HasSubstr("<maxMemory slots='8' unit='KiB'>4194304</maxMemory>"));
    EXPECT_THAT(xml, HasSubstr("<memory unit='KiB'>1835008</memory>"));
    EXPECT_THAT(xml, HasSubstr("<cell id='0' cpus='0-1' memory='262144' unit='KiB'/>"));
    EXPECT_THAT(xml, HasSubstr("<memory model='dimm'>"));
    EXPECT_THAT(xml, HasSubstr("<requested unit='KiB'>262144</requested>"));
    EXPECT_THAT(xml, HasSubstr("<block unit='KiB'>2048</block>"));
    EXPECT_THAT(xml, HasSubstr("freePageReporting='on'"));
    EXPECT_THAT(xml, HasSubstr("<stats period='1'/>"));
}

TEST(QemuDomain, MemoryThatAnUpdateFindsAgain) {
    QemuDomain domain = small();
    domain.max_memory = {4 * GiB, 8};
    domain.virtio_mems = {{GiB, 2 * MiB, 256 * MiB, 0, 0x10, "ua-more"}};
    for (const std::string& xml : {defined(domain), to_xml(domain.virtio_mems[0])}) {
        EXPECT_THAT(xml, HasSubstr("ua-more"));
        EXPECT_THAT(xml, AnyOf(HasSubstr("slot='0x10'"), HasSubstr("slot=\"16\"")));
    }
}

TEST(QemuDomain, ChannelToASocketOfOurs) {
    using Channel = QemuDomain::Channel;
    QemuDomain domain = small();
    domain.channels = {{Channel::Kind::virtio_serial, "/run/a.sock", "a", Channel::Listener::peer}};
    EXPECT_THAT(defined(domain), HasSubstr("<source mode='connect' path='/run/a.sock'/>"));
}

TEST(QemuDomain, Backing) {
    QemuDomain domain = small();
    domain.backing = {.source = QemuDomain::MemoryBacking::Source::memfd,
                      .huge_page = 2 * MiB,
                      .shared = true,
                      .locked = true,
                      .allocated_at_start = true};
    std::string xml = defined(domain);
    EXPECT_THAT(xml, HasSubstr("<page size='2048' unit='KiB'/>"));
    EXPECT_THAT(xml, HasSubstr("<locked/>"));
    EXPECT_THAT(xml, HasSubstr("<source type='memfd'/>"));
    EXPECT_THAT(xml, HasSubstr("<access mode='shared'/>"));
    EXPECT_THAT(xml, HasSubstr("<allocation mode='immediate'/>"));
}

TEST(QemuDomain, Nodes) {
    QemuDomain domain = small();
    domain.vcpus = 3;
    domain.nodes = {128 * MiB, 128 * MiB};
    std::string xml = defined(domain);
    EXPECT_THAT(xml, HasSubstr("<cell id='0' cpus='0' memory='131072' unit='KiB'/>"));
    EXPECT_THAT(xml, HasSubstr("<cell id='1' cpus='1-2' memory='131072' unit='KiB'/>"));
}

TEST(Connection, SaysWhatLibvirtSaysAndPrintsNothing) {
    testing::internal::CaptureStderr();
    std::string what;
    try {
        open_connection("nonsense:///");
    } catch (const LibvirtError& error) {
        what = error.what();
    }
    EXPECT_THAT(what, HasSubstr("cannot connect to nonsense:///: "));
    EXPECT_GT(what.size(), std::string("cannot connect to nonsense:///: ").size());
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Connection, ErrorsHaveTheirNumber) {
    Connection connection = open_connection("test:///default");
    try {
        checked(virDomainLookupByName(connection.get(), "absent"), "cannot find it");
        FAIL() << "there is no such domain";
    } catch (const LibvirtError& error) {
        EXPECT_EQ(error.number(), VIR_ERR_NO_DOMAIN);
        EXPECT_THAT(error.what(), HasSubstr("cannot find it: " + error.message()));
    }
}

}  // namespace
}  // namespace gpremap
