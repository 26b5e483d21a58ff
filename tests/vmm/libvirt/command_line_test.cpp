// A domain becomes the VM that libvirt's QEMU driver would start: of each shape, memory, vCPUs and nodes are
// compared with the command line that it writes. The driver runs in this process, and starts no guest. All sizes
// here are whole MiB: it rounds others up, and a VM of ours has what is stated.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <regex>
#include <sstream>

#include "vmm/libvirt/connection.h"
#include "vmm/libvirt/domain.h"
#include "vmm/libvirt/embedded_driver.h"
#include "vmm/libvirt/private_folder.h"

namespace gpremap {
namespace {

constexpr uint64_t KiB = 1ull << 10;
constexpr uint64_t MiB = 1ull << 20;

// What both sides say of a VM; sizes in bytes.
struct Shape {
    uint64_t boot_memory = 0;  // of all nodes
    uint64_t most = 0;         // that memory can grow to
    unsigned vcpus = 0;
    std::map<std::string, uint64_t> room;  // of each node and device, by the name of its range

    bool operator==(const Shape&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
    out << "boot memory " << shape.boot_memory / KiB << " KiB, at most " << shape.most / KiB << " KiB, "
        << shape.vcpus << " vCPUs";
    for (const auto& [name, size] : shape.room) out << ", " << name << " " << size / KiB << " KiB";
    return out;
}

// ---- what is made of it here ----

Shape shape_here(const std::string& xml) {
    const VmDomain domain = parse_domain(xml, "d.xml");
    Shape shape;
    shape.most = domain.machine.memory.limit;
    shape.vcpus = domain.machine.vcpus;
    for (const auto* ranges : {&domain.ranges, &domain.empty})
        for (const DomainRange& range : *ranges) {
            shape.room[range.name] = range.room;
            if (range.name.starts_with("node")) shape.boot_memory += range.room;
        }
    return shape;
}

// ---- what the driver makes of it ----

// The first group of the first match, as a number; nothing where there is none.
std::optional<uint64_t> number_in(const std::string& text, const std::string& pattern) {
    std::smatch match;
    if (!std::regex_search(text, match, std::regex(pattern))) return std::nullopt;
    return std::stoull(match[1]);
}

// "ram-node0" and, without nodes, "pc.ram"; "memdimm0"; "memvirtiomem0".
std::string range_of_backend(const std::string& id) {
    const std::map<std::string, std::string> prefixes{
        {"ram-node", "node"}, {"memdimm", "dimm"}, {"memvirtiomem", "virtio_mem"}};
    for (const auto& [prefix, ours] : prefixes)
        if (id.starts_with(prefix)) return ours + id.substr(prefix.size());
    return id == "pc.ram" ? "node0" : id;
}

// "-m 512" is in MiB; "-m size=262144k,slots=2,maxmem=2097152k".
Shape shape_of(const std::string& command_line) {
    Shape shape;
    const auto mib = number_in(command_line, "-m (\\d+)");
    const auto kib = number_in(command_line, "-m size=(\\d+)k");
    shape.boot_memory = mib ? *mib * MiB : kib.value_or(0) * KiB;
    const auto most = number_in(command_line, "maxmem=(\\d+)k");
    shape.most = most ? *most * KiB : shape.boot_memory;
    shape.vcpus = static_cast<unsigned>(number_in(command_line, "-smp (\\d+)").value_or(0));
    const std::regex backend("\"qom-type\":\"memory-backend-[^}]*\"id\":\"([^\"]+)\"[^}]*\"size\":(\\d+)");
    for (std::sregex_iterator i(command_line.begin(), command_line.end(), backend), end; i != end; ++i)
        shape.room[range_of_backend((*i)[1])] = std::stoull((*i)[2]);
    return shape;
}

class CommandLine : public testing::Test {
  protected:
    // Once for all: the driver starts each QEMU of the host, to ask what it can.
    static void SetUpTestSuite() {
        virEventRegisterDefaultImpl();
        folder_ = std::make_unique<PrivateFolder>();
        setenv("LIBVIRT_LOG_OUTPUTS", ("4:file:" + (folder_->path() / "log").string()).c_str(), 0);
        try {
            connection_ = open_connection(embedded_uri(folder_->path() / "libvirt"));
            unsigned long version = 0;
            checked(virConnectGetVersion(connection_.get(), &version), "there is no QEMU");
        } catch (const LibvirtError& error) {
            missing_ = error.what();
        }
    }
    static void TearDownTestSuite() {
        connection_.reset();
        folder_.reset();
    }
    void SetUp() override {
        if (!missing_.empty())
            GTEST_SKIP() << missing_ << ": install libvirt-daemon-system and qemu-system-x86";
    }

    static std::string xml_of(const std::string& inside) {
        return "<domain type='qemu'>\n<name>guest</name>\n" + inside +
               "\n<os><type arch='x86_64'>hvm</type></os>\n</domain>\n";
    }

    static std::string command_line_of(const std::string& xml) {
        const std::unique_ptr<char, decltype(&std::free)> text(
            virConnectDomainXMLToNative(connection_.get(), "qemu-argv", xml.c_str(), 0), &std::free);
        return checked(text.get(), "no command line");
    }

    static void expect_alike(const std::string& inside) {
        SCOPED_TRACE(inside);
        const std::string xml = xml_of(inside);
        const std::string theirs = command_line_of(xml);
        EXPECT_EQ(shape_here(xml), shape_of(theirs)) << theirs;
    }

    static std::unique_ptr<PrivateFolder> folder_;
    static Connection connection_;
    static std::string missing_;
};

std::unique_ptr<PrivateFolder> CommandLine::folder_;
Connection CommandLine::connection_;
std::string CommandLine::missing_;

std::string memory(unsigned mib) {
    return fmt::format("<memory unit='MiB'>{}</memory>", mib);
}

// Of two nodes with a vCPU each.
std::string two_cells(unsigned first_kib, unsigned second_kib) {
    return fmt::format(
        "<cpu><numa><cell id='0' cpus='0' memory='{}' unit='KiB'/>"
        "<cell id='1' cpus='1' memory='{}' unit='KiB'/></numa></cpu>",
        first_kib, second_kib);
}

const std::string two_vcpus = "<vcpu>2</vcpu>";

TEST_F(CommandLine, PlainMemory) {
    expect_alike(memory(512) + "<vcpu>3</vcpu>");
    expect_alike("<memory unit='GiB'>1</memory><vcpu>1</vcpu>");
}

TEST_F(CommandLine, CellsWhoseSumIsNotTheMemory) {
    for (unsigned stated : {64u, 256u, 512u, 4096u})
        expect_alike(memory(stated) + two_vcpus + two_cells(256 << 10, 256 << 10));
}

TEST_F(CommandLine, ANodesetThatNamesAllNodes) {
    for (const char* nodeset : {"0-1", "0,1"})
        expect_alike(
            memory(512) + two_vcpus + two_cells(256 << 10, 256 << 10) +
            fmt::format("<memoryBacking><hugepages><page size='2' unit='MiB' nodeset='{}'/></hugepages>"
                        "<source type='memfd'/></memoryBacking>",
                        nodeset));
}

TEST_F(CommandLine, CurrentMemoryBelowMemory) {
    expect_alike(memory(512) + "<currentMemory unit='MiB'>384</currentMemory>" + two_vcpus);
    // The balloon has all of the second node.
    expect_alike(memory(512) + "<currentMemory unit='MiB'>256</currentMemory>" + two_vcpus +
                 two_cells(256 << 10, 256 << 10));
}

TEST_F(CommandLine, VcpusThatComeLater) {
    expect_alike(memory(512) + "<vcpu current='1'>4</vcpu>");
    expect_alike(memory(512) + "<vcpu current='2'>2</vcpu>" + two_cells(256 << 10, 256 << 10));
}

TEST_F(CommandLine, MemoryThatCanGrow) {
    expect_alike("<maxMemory slots='2' unit='GiB'>2</maxMemory>" + memory(512) + two_vcpus +
                 two_cells(256 << 10, 256 << 10));
}

TEST_F(CommandLine, MemoryDevices) {
    const std::string dimm =
        "<memory model='dimm'><target><size unit='KiB'>131072</size><node>1</node></target></memory>";
    const std::string virtio_mem =
        "<memory model='virtio-mem'><target><size unit='MiB'>512</size><node>0</node>"
        "<block unit='MiB'>2</block><requested unit='MiB'>{}</requested></target></memory>";
    for (unsigned requested : {0u, 128u, 512u})
        expect_alike("<maxMemory slots='4' unit='GiB'>4</maxMemory>" + memory(300) + two_vcpus +
                     two_cells(256 << 10, 256 << 10) + "<devices>" + dimm +
                     fmt::format(fmt::runtime(virtio_mem), requested) + dimm + "</devices>");
}

}  // namespace
}  // namespace gpremap
