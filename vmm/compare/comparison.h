// What was measured, side by side: the table, and JSON of schema gpremap.compare/1.
#pragma once

#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vmm/base/json_file.h"
#include "vmm/compare/resizing.h"
#include "vmm/host/facts.h"

namespace gpremap {

// Under emulation, times say more of the emulator than of what is compared.
enum class Accelerator { kvm, emulation };

// The QEMU beside us, and who drives it.
struct QemuFacts {
    Accelerator accelerator = Accelerator::kvm;
    std::string accelerator_reason;
    std::string uri;  // of libvirt
    std::string libvirt_version;
    std::string version;
    std::string guest_release;  // of Linux
};

// With what it was measured.
struct CompareFacts {
    std::string scenario;
    std::string range;
    HostFacts host;
    unsigned repeat = 0;
    std::optional<QemuFacts> qemu;             // where it has been compared with
    std::optional<std::string> linux_release;  // of the kernel of gpremap-linux, where that has been
    std::string guest_settings;                // on the command lines of both
    uint64_t guest_base = 0;                   // bytes of both that are not resized
    std::string backing;                       // of gpremap's memory
    std::string mechanism;
};

class Comparison {
  public:
    explicit Comparison(CompareFacts facts) : facts_(std::move(facts)) {}

    // Which the guest itself says.
    void set_linux_release(const std::string& release) { facts_.linux_release = release; }

    void add(Way way, const Resizing& resizing, const Measured& measured);

    void print(std::ostream& out) const;
    JsonObject json() const;

  private:
    struct Row {
        Way way;
        Resizing resizing;
        std::vector<Measured> measured;
    };

    bool is_emulated(Way way) const;
    void print_head(std::ostream& out) const;
    const Row* ours(const Resizing& resizing) const;
    // How many times longer its guest waited than gpremap's; nothing where that would compare an emulator.
    std::optional<double> ratio(const Row& row) const;
    void print_row(std::ostream& out, const Row& row) const;
    JsonObject json_of(const Row& row) const;
    JsonObject json_of_guest(const std::string& release) const;
    JsonObject json_of_qemu() const;

    CompareFacts facts_;
    std::vector<Row> rows_;  // in the order in which they were first measured
};

}  // namespace gpremap
