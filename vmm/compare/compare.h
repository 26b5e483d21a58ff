// `gpremap compare`: the same resizes here, and on Linux guests: of ours, and of QEMU, which libvirt drives.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "vmm/base/progress.h"
#include "vmm/compare/resized_linux.h"
#include "vmm/compare/resizing.h"
#include "vmm/scenario/reading.h"

namespace gpremap {

struct CompareOptions {
    std::string file;
    std::string range;  // the one whose resizes count; empty: the only one
    std::vector<Way> ways{Way::balloon, Way::virtio_mem};
    unsigned repeat = 5;
    double deadline = 300;  // seconds, for each answer of the guest
    std::string connect;    // libvirt's URI; empty: its driver inside of this program

    enum class Accelerate { automatic, kvm, emulation };
    std::optional<Accelerate> accelerate;  // nothing: automatic
    std::optional<bool> init_on_alloc;     // of the guests' Linux; nothing: on
    std::string memhp_default_state = "online_movable";
    GuestSettings settings() const { return {init_on_alloc.value_or(true), memhp_default_state}; }

    Overrides overrides;  // of gpremap's machine
    std::string json;     // where the result goes, too; empty: nowhere
    ShowProgress progress = ShowProgress::yes;
};

// Writes one table to `out`. Returns the exit status, 0 or what JsonFile makes of it. Throws ConfigError,
// before anything is started; HostLacks, as where QEMU is asked for and it was built without libvirt; GuestDied, also for
// a guest that does not answer until the deadline; Interrupted. Whatever was started is gone when it returns or throws.
int run_compare(const CompareOptions& options, std::ostream& out);

}  // namespace gpremap
