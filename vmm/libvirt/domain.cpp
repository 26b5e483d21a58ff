#include "vmm/libvirt/domain.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"
#include "vmm/libvirt/connection.h"
#include "vmm/libvirt/domain_elements.h"
#include "vmm/libvirt/test_driver.h"
#include "vmm/libvirt/xml_document.h"

namespace gpremap {

namespace {

constexpr uint64_t large_page = 2ull << 20;  // bytes
// Ranges begin where the largest pages do.
constexpr uint64_t range_alignment = 1ull << 30;  // bytes

uint64_t aligned_up(uint64_t value, uint64_t to) {
    return (value + to - 1) / to * to;
}

// libvirt's normalised XML states all sizes in KiB.
uint64_t bytes_in(const std::string& kib) {
    return std::stoull(kib) << 10;
}

// "0-1,3", as libvirt normalises it.
std::set<unsigned> nodes_in(const std::string& nodeset) {
    std::set<unsigned> nodes;
    std::istringstream parts(nodeset);
    for (std::string part; std::getline(parts, part, ',');) {
        size_t dash = part.find('-');
        unsigned long last = std::stoul(dash == std::string::npos ? part : part.substr(dash + 1));
        for (unsigned long node = std::stoul(part); node <= last; node++)
            nodes.insert(static_cast<unsigned>(node));
    }
    return nodes;
}

// Values come from what libvirt has normalised, lines from what was written.
class DomainReader {
  public:
    DomainReader(const XmlElement& written, const XmlElement& normalised, VmDomain& domain)
        : written_(written), normalised_(normalised), domain_(domain), memory_(domain.machine.memory) {}

    void read() {
        domain_.name = normalised_.child("name")->text();
        read_vcpus();
        read_backing();
        read_nodes();
        take_balloon();
        read_devices();
        place_ranges();
        read_limit();
        read_scenario();
    }

  private:
    [[noreturn]] void fail(unsigned line, const std::string& what) const {
        throw ConfigError(fmt::format("{}:{}: {}", domain_.file, line, what));
    }

    unsigned line_of(std::initializer_list<const char*> path) const {
        auto element = written_.find(path);
        return element ? element->line() : written_.line();
    }

    std::optional<uint64_t> size_at(std::initializer_list<const char*> path) const {
        auto element = normalised_.find(path);
        if (!element) return std::nullopt;
        return bytes_in(element->text());
    }

    void read_vcpus();
    void read_backing();
    std::set<unsigned> node_ids() const;
    void read_huge_pages(const XmlElement& pages);
    void read_nodes();
    void take_balloon();
    void read_devices();
    void read_device(const XmlElement& device, unsigned line);
    void check_page_size(const XmlElement& device, const XmlElement& written) const;
    void check_growth() const;
    void check_slots(std::string_view kind, size_t devices, unsigned line) const;
    void add_range(const std::string& name, uint64_t size, uint64_t room, unsigned line);
    void place_ranges();
    void read_limit();
    void read_scenario();

    const XmlElement& written_;
    const XmlElement& normalised_;
    VmDomain& domain_;
    MemoryConfig& memory_;
    DomainRange::Residency residency_ = DomainRange::Residency::on_touch;
};

void DomainReader::read_vcpus() {
    auto vcpu = *normalised_.child("vcpu");
    unsigned long count = std::stoul(vcpu.attribute("current").value_or(vcpu.text()));
    if (count > abi::max_vcpus)
        fail(line_of({"vcpu"}), fmt::format("<vcpu>: expected 1 to {} vCPUs, got {}", abi::max_vcpus, count));
    domain_.machine.vcpus = static_cast<unsigned>(count);
}

std::set<unsigned> DomainReader::node_ids() const {
    auto numa = normalised_.find({"cpu", "numa"});
    if (!numa) return {0};
    std::set<unsigned> ids;
    for (const XmlElement& cell : numa->children("cell"))
        ids.insert(static_cast<unsigned>(std::stoul(cell.attribute("id").value_or("0"))));
    return ids;
}

void DomainReader::read_huge_pages(const XmlElement& pages) {
    const std::vector<XmlElement> written = written_.find({"memoryBacking", "hugepages"})->children("page");
    const std::vector<XmlElement> normalised = pages.children("page");
    std::set<unsigned> without = node_ids();
    uint64_t size = large_page;
    for (size_t i = 0; i < normalised.size(); i++) {
        size = bytes_in(normalised[i].attribute("size").value_or("2048"));
        if (!backing_of_huge_pages(size))
            fail(written.at(i).line(),
                 fmt::format("<hugepages> of {} KiB: a backing has huge pages of 2 MiB or of 1 GiB; state "
                             "<page size='2' unit='MiB'/>",
                             size >> 10));
        auto nodes = normalised[i].attribute("nodeset");
        if (!nodes) without.clear();
        for (unsigned node : nodes_in(nodes.value_or(""))) without.erase(node);
    }
    if (!normalised.empty() && !without.empty())
        fail(written.front().line(),
             fmt::format("<hugepages> for some nodes, and none for node {}: all memory of a VM has one "
                         "backing; leave nodeset out",
                         *without.begin()));
    memory_.backing = *backing_of_huge_pages(size);
    memory_.granule = traits_of(memory_.backing).least_granule;
}

void DomainReader::read_backing() {
    auto backing = normalised_.child("memoryBacking");
    if (!backing) return;
    if (auto source = backing->child("source")) {
        std::string type = source->attribute("type").value_or("");
        if (type == "file")
            fail(line_of({"memoryBacking", "source"}),
                 "<source type='file'>: memory here is anonymous or a memfd; expected anonymous or memfd");
        memory_.backing = type == "memfd" ? Backing::memfd : Backing::anon;
    }
    if (auto pages = backing->child("hugepages")) read_huge_pages(*pages);
    if (auto allocation = backing->child("allocation");
        allocation && allocation->attribute("mode") == "immediate")
        residency_ = DomainRange::Residency::populated;
    if (backing->child("locked")) residency_ = DomainRange::Residency::locked;
}

void DomainReader::add_range(const std::string& name, uint64_t size, uint64_t room, unsigned line) {
    if (size % memory_.granule != 0)
        fail(line, fmt::format("{} of {} KiB is not a multiple of the unit of remapping, {} KiB", name,
                               size >> 10, memory_.granule >> 10));
    domain_.ranges.push_back({name, 0, size, room, residency_, line});
}

void DomainReader::read_nodes() {
    auto numa = normalised_.find({"cpu", "numa"});
    if (!numa) {
        uint64_t memory = *size_at({"memory"});
        return add_range("node0", memory, memory, line_of({"memory"}));
    }
    for (const XmlElement& cell : numa->children("cell")) {
        std::string id = cell.attribute("id").value_or("0");
        unsigned line = line_of({"cpu", "numa"});
        for (const XmlElement& as_written : written_.find({"cpu", "numa"})->children("cell"))
            if (as_written.attribute("id").value_or(id) == id) line = as_written.line();
        uint64_t memory = bytes_in(cell.attribute("memory").value_or("0"));
        add_range("node" + id, memory, memory, line);
    }
}

// What a balloon holds at the start is not mapped: it is taken off the end of the last nodes.
void DomainReader::take_balloon() {
    uint64_t plugged = 0;
    for (const XmlElement& device : normalised_.child("devices")->children("memory"))
        plugged += bytes_in(device.find({"target", "size"})->text());
    uint64_t present = domain_.mapped() + plugged;
    uint64_t current = size_at({"currentMemory"}).value_or(present);
    for (const XmlElement& device : normalised_.child("devices")->children("memory"))
        if (auto requested = device.find({"target", "requested"}))
            present -= bytes_in(device.find({"target", "size"})->text()) - bytes_in(requested->text());
    if (current >= present) return;
    uint64_t taken = present - current;
    if (taken % memory_.granule != 0)
        fail(line_of({"currentMemory"}),
             fmt::format("<currentMemory> leaves a part of a unit of {} KiB", memory_.granule >> 10));
    for (auto range = domain_.ranges.rbegin(); range != domain_.ranges.rend(); ++range) {
        uint64_t part = std::min(taken, range->size);
        range->size -= part;
        taken -= part;
    }
    if (taken || domain_.ranges.front().size == 0)
        fail(line_of({"currentMemory"}), "<currentMemory> leaves nothing of the boot memory");
}

void DomainReader::check_page_size(const XmlElement& device, const XmlElement& written) const {
    auto stated = device.find({"source", "pagesize"});
    if (!stated) return;
    uint64_t size = bytes_in(stated->text());
    uint64_t page = traits_of(memory_.backing).least_granule;
    if (size != page)
        fail(written.find({"source", "pagesize"})->line(),
             fmt::format("<pagesize> of {} KiB: all memory of a VM has one backing, which has pages of {} "
                         "KiB; state it in <memoryBacking>",
                         size >> 10, page >> 10));
}

void DomainReader::read_device(const XmlElement& device, unsigned line) {
    bool dimm = device.attribute("model") == "dimm";
    std::string prefix = dimm ? "dimm" : "virtio_mem";
    auto same = std::count_if(domain_.ranges.begin(), domain_.ranges.end(),
                              [&](const DomainRange& range) { return range.name.starts_with(prefix); });
    uint64_t room = bytes_in(device.find({"target", "size"})->text());
    auto requested = device.find({"target", "requested"});
    add_range(prefix + std::to_string(same), requested ? bytes_in(requested->text()) : room, room, line);
}

// QEMU would make a node of its own, so libvirt wants one to be stated. Its test driver does not look.
void DomainReader::check_growth() const {
    if (!normalised_.child("maxMemory") || normalised_.find({"cpu", "numa", "cell"})) return;
    auto device = written_.find({"devices", "memory"});
    fail(device ? device->line() : line_of({"maxMemory"}),
         "memory that can grow needs a NUMA node: at least one <cell> in <cpu><numa>");
}

// libvirt's test driver lets both through; QEMU would not.
void DomainReader::check_slots(std::string_view kind, size_t devices, unsigned line) const {
    auto most = normalised_.child("maxMemory");
    if (!most)
        fail(line, "a memory device needs <maxMemory slots='...'>, which says how far memory can grow");
    unsigned long slots = std::stoul(most->attribute("slots").value_or("0"));
    if (devices > slots)
        fail(line, fmt::format("{} number {}, but <maxMemory> has {} slots", kind, devices, slots));
}

void DomainReader::read_devices() {
    check_growth();
    std::vector<XmlElement> normalised = normalised_.child("devices")->children("memory");
    if (normalised.empty()) return;
    std::vector<XmlElement> written = written_.child("devices")->children("memory");
    for (size_t i = 0; i < normalised.size(); i++) {
        unsigned line = written.at(i).line();
        check_slots(normalised[i].attribute("model") == "dimm" ? "DIMM" : "memory device", i + 1, line);
        if (!normalised[i].find({"target", "node"}))
            fail(line, "a memory device needs <node> in its <target>, the NUMA node that it belongs to");
        check_page_size(normalised[i], written.at(i));
        read_device(normalised[i], line);
    }
}

void DomainReader::place_ranges() {
    uint64_t at = memory_.aperture_base;
    for (DomainRange& range : domain_.ranges) {
        if (range.room > abi::highest_aperture_end - at)
            fail(range.line, range.name + " has no place below 64 TiB");
        range.at = at;
        at += aligned_up(range.room, range_alignment);
    }
    for (const DomainRange& range : domain_.ranges)
        if (range.size == 0 && range.room > 0) domain_.empty.push_back(range);
    std::erase_if(domain_.ranges, [](const DomainRange& range) { return range.size == 0; });
    memory_.aperture_size = std::max(memory_.aperture_size, at - memory_.aperture_base);
}

void DomainReader::read_limit() {
    uint64_t limit = size_at({"maxMemory"}).value_or(*size_at({"memory"}));
    // Unlimited memory is stated as a number that is larger than any memory, or not at all.
    uint64_t hard = size_at({"memtune", "hard_limit"}).value_or(limit);
    if (hard < domain_.mapped())
        fail(line_of({"memtune", "hard_limit"}),
             fmt::format("<hard_limit> of {} KiB is less than the domain begins with, {} KiB", hard >> 10,
                         domain_.mapped() >> 10));
    memory_.limit = std::min(limit, hard) / memory_.granule * memory_.granule;
}

void DomainReader::read_scenario() {
    auto metadata = written_.child("metadata");
    if (!metadata) return;
    for (const XmlElement& element : metadata->children()) {
        if (element.name_space() != scenario_namespace) continue;
        if (element.name() != "scenario" || !element.children().empty())
            fail(element.line(), fmt::format("<{}>: expected <scenario> with TOML in it", element.name()));
        std::string maps = element.attribute("memory").value_or("mapped");
        if (maps != "mapped" && maps != "by-steps")
            fail(element.line(), fmt::format("memory='{}': expected mapped or by-steps", maps));
        if (domain_.scenario) fail(element.line(), "a second <scenario>: expected one");
        if (maps == "by-steps") {
            domain_.ranges.clear();
            domain_.empty.clear();
        }
        domain_.scenario = {std::string(element.line() - 1, '\n') + element.text_by_line(), element.line()};
    }
}

XmlDocument read_document(const std::string& text, const std::string& name) {
    try {
        return XmlDocument(text);
    } catch (const XmlDocument::Refused& refused) {
        throw ConfigError(fmt::format("{}:{}: {}", name, refused.line, refused.what()));
    } catch (const XmlDocument::Error&) {
        refuse_malformed(text, name);
    }
}

// QEMU's driver takes the sum of the cells for <memory>, whatever that says; the test driver only where it
// says nothing.
void let_cells_decide(const XmlElement& written) {
    auto numa = written.find({"cpu", "numa"});
    auto memory = written.child("memory");
    if (numa && numa->child("cell") && memory) memory->set_text("0");
}

}  // namespace

VmDomain parse_domain(const std::string& text, const std::string& name) {
    if (!is_xml(text)) throw ConfigError(name + ": not a libvirt domain: expected XML");
    XmlDocument written = read_document(text, name);
    let_cells_decide(written.root());
    XmlDocument normalised = read_document(normalised_domain(written, name), name);
    VmDomain domain;
    domain.file = name;
    domain.ignored = check_elements(written.root(), name);
    DomainReader(written.root(), normalised.root(), domain).read();
    return domain;
}

}  // namespace gpremap
