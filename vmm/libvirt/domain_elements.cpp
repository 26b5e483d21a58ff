#include "vmm/libvirt/domain_elements.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "vmm/config/config_errors.h"

namespace gpremap {

namespace {

const std::set<std::string_view> understood{
    "name", "uuid",      "title",         "description", "metadata", "memory", "currentMemory",
    "vcpu", "maxMemory", "memoryBacking", "memtune",     "cpu",      "os",     "devices",
};
const std::set<std::string_view> understood_of_backing{"hugepages", "locked", "source", "allocation"};

struct Why {
    std::string_view element;
    std::string_view reason;
};
constexpr std::array ignored_because{
    Why{"memballoon", "calls of the guest do what a balloon does"},
    Why{"numatune", "memory is not bound to nodes of the host"},
    Why{"nosharepages", "pages are never merged here"},
    Why{"access", "no other process maps the guest's memory"},
    Why{"discard", "memory that is released goes back to the host at once"},
    Why{"os", "no system is booted: the guest is the agent"},
};
constexpr std::array refused_because{
    Why{"launchSecurity", "encrypted memory cannot be moved"},
    Why{"shmem", "memory that other VMs share cannot be moved"},
};

struct Device {
    std::string_view element;
    std::string_view type;
};
// What reads and writes the guest's memory by itself: through VFIO, or through vDPA. Others of the host's
// devices (USB, SCSI) are driven by QEMU, which copies.
constexpr std::array pinning{
    Device{"hostdev", "pci"},       Device{"hostdev", "mdev"}, Device{"interface", "hostdev"},
    Device{"interface", "vdpa"},    Device{"disk", "nvme"},    Device{"disk", "vhostvdpa"},
    Device{"backingStore", "nvme"}, Device{"mirror", "nvme"},  Device{"backingStore", "vhostvdpa"},
    Device{"mirror", "vhostvdpa"},
};

bool pins(const XmlElement& device) {
    const std::string name = device.name();
    const std::string type = device.attribute("type").value_or("");
    if (std::ranges::any_of(pinning,
                            [&](const Device& each) { return each.element == name && each.type == type; }))
        return true;
    // A disk has the layers below it inside.
    return std::ranges::any_of(device.children(), pins);
}

class Elements {
  public:
    explicit Elements(std::string file) : file_(std::move(file)) {}

    void check(const XmlElement& domain) {
        check_machine(domain);
        for (const XmlElement& child : domain.children()) {
            if (refuse(child)) continue;
            std::string name = child.name();
            if (name == "devices") check_devices(child);
            if (name == "memoryBacking") check_children(child, understood_of_backing);
            if (name == "memtune") check_children(child, {"hard_limit"});
            if (name == "cpu") check_cpu(child);
            if (name == "os" && child.children().size() > 1) ignore(child);
            if (!understood.contains(name)) ignore(child);
        }
    }

    std::vector<std::string> ignored() const {
        errors_.throw_if_any();
        return ignored_;
    }

  private:
    std::string place(const XmlElement& element) const {
        return fmt::format("{}:{}: ", file_, element.line());
    }

    void error(const XmlElement& element, std::string_view what) {
        errors_.collect([&] { throw ConfigError(fmt::format("{}{}", place(element), what)); });
    }

    void ignore(const XmlElement& element) {
        std::string_view reason = "has no meaning here";
        for (const Why& why : ignored_because)
            if (why.element == element.name()) reason = why.reason;
        ignored_.push_back(fmt::format("{}<{}> is ignored: {}", place(element), element.name(), reason));
    }

    bool refuse(const XmlElement& element) {
        for (const Why& why : refused_because) {
            if (why.element != element.name()) continue;
            error(element, fmt::format("<{}>: {}; take it out", element.name(), why.reason));
            return true;
        }
        return false;
    }

    void check_machine(const XmlElement& domain) {
        std::string type = domain.attribute("type").value_or("");
        if (type != "kvm" && type != "qemu" && type != "test")
            error(domain, fmt::format("domain type '{}': expected kvm or qemu", type));
        auto os = domain.find({"os", "type"});
        if (!os) return;
        if (os->text() != "hvm") error(*os, fmt::format("<os> type '{}': expected hvm", os->text()));
        if (auto arch = os->attribute("arch"); arch && *arch != "x86_64")
            error(*os, fmt::format("arch '{}': expected x86_64", *arch));
    }

    void check_devices(const XmlElement& devices) {
        for (const XmlElement& device : devices.children()) {
            if (refuse(device)) continue;
            if (device.name() == "memory")
                check_memory_device(device);
            else if (pins(device))
                error(device,
                      fmt::format("<{}>: a device of the host has the guest's memory pinned, so that none of "
                                  "it can be moved; take it out",
                                  device.name()));
            else
                ignore(device);
        }
    }

    void check_memory_device(const XmlElement& device) {
        std::string model = device.attribute("model").value_or("");
        if (model != "dimm" && model != "virtio-mem")
            error(device,
                  fmt::format("memory model '{}' is not memory of the host that can be moved: expected "
                              "dimm or virtio-mem",
                              model));
        auto source = device.child("source");
        if (!source) return;
        if (source->child("nodemask")) ignore(*source);
    }

    void check_children(const XmlElement& parent, const std::set<std::string_view>& known) {
        for (const XmlElement& child : parent.children())
            if (!known.contains(child.name())) ignore(child);
    }

    // The processor is the host's; only the nodes matter.
    void check_cpu(const XmlElement& cpu) {
        for (const XmlElement& child : cpu.children())
            if (child.name() != "numa") ignore(child);
        if (cpu.attribute("mode") || cpu.attribute("match")) ignore(cpu);
    }

    std::string file_;
    std::vector<std::string> ignored_;
    ConfigErrors errors_;
};

}  // namespace

std::vector<std::string> check_elements(const XmlElement& domain, const std::string& file) {
    Elements elements(file);
    elements.check(domain);
    return elements.ignored();
}

}  // namespace gpremap
