// `gpremap doctor`: what this host can do, each line with the reason and the mend.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iosfwd>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"
#include "vmm/base/units.h"
#include "vmm/compare/needs.h"
#include "vmm/config/toml_reader.h"
#include "vmm/host/facts.h"
#include "vmm/host/huge_tmpfs.h"
#include "vmm/host/process_limits.h"
#include "vmm/host/processors.h"
#include "vmm/hostmemory/backing_object.h"
#include "vmm/hostmemory/reservation.h"
#include "vmm/kvm/kvm.h"
#include "vmm/libvirt/diagnosis.h"
#include "vmm/report/json.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct Finding {
    enum class Verdict {
        ok,
        slower,   // everything works, but something would be faster or is not available
        missing,  // gpremap cannot run
    };
    std::string what;
    Verdict verdict = Verdict::ok;
    std::string reason;   // what was found, and what it is for
    std::string mend;     // what to do about it; empty where nothing needs doing
    bool needed = false;  // whether gpremap cannot run without it
};

struct DoctorOptions {
    std::string json;  // where the result goes, too; empty: nowhere
};

constexpr uint64_t gib = 1ull << 30;  // bytes

using Verdict = Finding::Verdict;
using Findings = std::vector<Finding>;

Finding ok(std::string_view what, std::string reason) {
    return {std::string(what), Verdict::ok, std::move(reason), ""};
}
Finding found(std::string_view what, std::string reason) {
    return {std::string(what), Verdict::ok, std::move(reason), "", true};
}
Finding slower(std::string_view what, std::string reason, std::string mend) {
    return {std::string(what), Verdict::slower, std::move(reason), std::move(mend)};
}
Finding missing(std::string_view what, std::string reason, std::string mend) {
    return {std::string(what), Verdict::missing, std::move(reason), std::move(mend), true};
}

// ---- KVM ----

// In bytes, a power of two: as far as this process's address space, tried, and the window's memslots go, each
// of 1 GiB and two to spare.
uint64_t largest_aperture(const KvmCapabilities& kvm) {
    const uint64_t slots = (kvm.memslots - 2) * gib;
    for (uint64_t size = abi::highest_aperture_end; size > gib; size /= 2) {
        if (size > slots) continue;
        try {
            const Reservation reservation(size);
            return size;
        } catch (const HostLacks&) {
        }
    }
    return gib;
}

void examine_capabilities(const KvmCapabilities& kvm, Findings& findings) {
    findings.push_back(found("KVM API", "version 12, with every capability that a run needs"));
    findings.push_back(
        kvm.mmu == MmuKind::shadow
            ? slower("MMU kind", "shadow paging: everything works, page faults cost more",
                     "where the processor has EPT or NPT: load kvm_intel with ept=1 or kvm_amd with npt=1")
            : ok("MMU kind", fmt::format("{}: the hardware walks the second stage", name_of(kvm.mmu))));
    findings.push_back(ok("memslots", fmt::format("{} for one VM", kvm.memslots)));
    const uint64_t end = std::min(abi::highest_aperture_end, uint64_t{1} << kvm.guest_address_bits);
    findings.push_back(
        ok("guest addresses",
           fmt::format("{} bits: an aperture may end at {}, and be {} large", kvm.guest_address_bits,
                       format_size(end), format_size(std::min(end, largest_aperture(kvm))))));
    findings.push_back(kvm.sync_regs ? ok("KVM_CAP_SYNC_REGS", "registers come with the exit")
                                     : slower("KVM_CAP_SYNC_REGS", "a hypercall needs two more ioctls",
                                              "use Linux 4.17 or later"));
    findings.push_back(kvm.statistics ? ok("KVM_GET_STATS_FD", "second-stage pages and faults are counted")
                                      : slower("KVM_GET_STATS_FD", "results show no page counts",
                                               "use Linux 5.14 or later"));
    findings.push_back(kvm.pre_fault
                           ? ok("KVM_PRE_FAULT_MEMORY", "ranges can be mapped before they are touched")
                           : slower("KVM_PRE_FAULT_MEMORY", "first touches fault one by one",
                                    "use Linux 6.11 or later with EPT or NPT; shadow paging has none"));
    findings.push_back(kvm.slot_zap_all_optional
                           ? ok("memslot deletion", "leaves the mappings of other slots alone")
                           : slower("memslot deletion", "drops the second-stage mappings of every slot",
                                    "use Linux 6.12 or later, or the window mechanism"));
}

void examine_kvm(Findings& findings) {
    try {
        Kvm kvm;
        kvm.create_vm();
        findings.push_back(found("/dev/kvm", "present, this user may open it, and a VM can be created"));
        examine_capabilities(kvm.capabilities(), findings);
    } catch (const HostLacks& error) {
        const Lack lack = lack_of(error);
        findings.push_back(missing("/dev/kvm", lack.reason, lack.mend));
    } catch (const std::system_error& error) {
        findings.push_back(missing("/dev/kvm", error.what(), "see dmesg: KVM refuses to create a VM"));
    }
}

// ---- memory ----

// Those that a backing is made of.
Finding examine_huge_pages(const BackingTraits& backing) {
    const auto pages = read_huge_pages(backing.huge_page);
    const std::string what = backing.huge_page == gib ? "huge pages 1G" : "huge pages 2M";
    if (!pages) return slower(what, "this kernel or processor does not have them", "use another backing");
    std::string counts = fmt::format("{} free of {}", pages->free, pages->total);
    if (pages->promised > 0) counts += fmt::format(", {} promised to mappings", pages->promised);
    if (pages->free > 0) return ok(what, counts);
    return slower(what, fmt::format("{}: only for backing {}", counts, backing.name),
                  fmt::format("echo N > /sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages",
                              backing.huge_page >> 10));
}

// Huge pages belong to a node of the host, and a VM's vCPUs may run on another.
void examine_nodes(const HostFacts& host, Findings& findings) {
    const bool some_are_promised = host.huge_2m && host.huge_2m->promised > 0;
    for (unsigned node = 0;; node++) {
        auto unused = unused_huge_2m_of_node(node);
        if (!unused) return;
        findings.push_back(
            ok(fmt::format("huge pages 2M node{}", node),
               fmt::format("{} {}", *unused, some_are_promised ? "free or promised" : "free")));
    }
}

// Of memory that is aliased or pinned, and of backing memfd.
Finding examine_shmem(const HostFacts& host) {
    const std::string what = "THP for shmem", setting = "shmem_enabled is " + host.thp_shmem;
    HugeTmpfsFile file = open_huge_tmpfs_file();
    if (file.fd.valid())
        return ok(what, setting + ", and a tmpfs of the VM's own has huge pages all the same");
    if (BackingObject(Backing::memfd).pages() == BackingObject::Pages::transparent) return ok(what, setting);
    return slower(what, file.lack + ": what has been aliased is of 4 KiB pages and slow to move", file.mend);
}

void examine_huge(const HostFacts& host, Findings& findings) {
    const char* enable = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
    findings.push_back(host.thp == "always" || host.thp == "madvise"
                           ? ok("THP", host.thp + ": anonymous memory moves by whole page tables")
                           : slower("THP", host.thp + ": anonymous memory moves by 4 KiB pages", enable));
    findings.push_back(examine_shmem(host));
    for (const BackingTraits& backing : backing_traits)
        if (backing.huge_page != 0) findings.push_back(examine_huge_pages(backing));
    examine_nodes(host, findings);
}

void add_libvirt(Findings& findings) {
    for (const LibvirtFinding& each : examine_libvirt())
        findings.push_back(each.works ? ok(each.what, each.reason)
                                      : slower(each.what, each.reason, each.mend));
}

// Beside that of the vCPU which makes calls.
Finding examine_ring() {
    const auto processors = usable_processors().size();
    if (processors > 2)
        return ok("ring", fmt::format("{} processors: one can take calls from memory", processors));
    return slower("ring",
                  fmt::format("{} processor{}: [vm] ring = true leaves none to other vCPUs", processors,
                              processors == 1 ? "" : "s"),
                  "leave it out, or use a host with more");
}

Finding examine_userfaultfd() {
    Descriptor fd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY)));
    if (fd.valid()) return ok("userfaultfd", "can be opened");
    return slower("userfaultfd", std::string(std::strerror(errno)) + ": no run needs it yet",
                  "sysctl vm.unprivileged_userfaultfd=1, or run as root");
}

// Those of the process: `ulimit`.
void examine_process(Findings& findings) {
    const Limits limits = read_limits();
    const auto said = [](std::optional<uint64_t> bytes) { return bytes ? format_size(*bytes) : "unlimited"; };
    const std::string files = limits.files ? std::to_string(*limits.files) : "unlimited";
    findings.push_back(
        limits.files.value_or(needed_files) >= needed_files
            ? found("open files", files)
            : missing("open files", fmt::format("{}: a VM needs {}", files, needed_files), "ulimit -n 1024"));
    const uint64_t needed = MemoryConfig().aperture_size + address_space_beside_aperture;
    findings.push_back(limits.address_space.value_or(needed) >= needed
                           ? found("address space", said(limits.address_space))
                           : missing("address space",
                                     fmt::format("{}: a VM with the usual aperture needs {}",
                                                 said(limits.address_space), format_size(needed)),
                                     "ulimit -v unlimited"));
    constexpr uint64_t usual_lock = 8ull << 20;  // the kernel's default
    findings.push_back(limits.locked.value_or(usual_lock) >= usual_lock
                           ? ok("locked memory", said(limits.locked))
                           : slower("locked memory",
                                    said(limits.locked) + ": `cases --on host` locks more in some cases",
                                    "ulimit -l 8192"));
}

void examine_limits(const HostFacts& host, Findings& findings) {
    constexpr uint64_t many_mappings = 65530;  // the kernel's default; one extent takes up to two
    std::string mappings = fmt::format("{} mappings for one process", host.max_map_count);
    findings.push_back(host.max_map_count >= many_mappings
                           ? ok("max_map_count", mappings)
                           : slower("max_map_count", mappings + ": maps with many extents run out",
                                    "sysctl vm.max_map_count=65530"));
    constexpr uint64_t needed = 1ull << 30;  // the quickstart holds about this much at once
    std::string memory =
        fmt::format("{} MiB available of {} MiB", host.memory_available >> 20, host.memory_total >> 20);
    findings.push_back(host.memory_available >= needed
                           ? ok("memory", memory)
                           : slower("memory", memory + ": the quickstart takes about 1 GiB", "free memory"));
}

// ---- the report ----

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return "ok";
        case Verdict::slower:
            return "missing (optional)";
        case Verdict::missing:
            return "missing";
    }
    return "";
}

bool can_run(const Findings& findings) {
    return std::none_of(findings.begin(), findings.end(),
                        [](const Finding& finding) { return finding.verdict == Verdict::missing; });
}

void print(std::ostream& out, const Findings& findings) {
    for (const Finding& finding : findings) {
        fmt::print(out, "{:<22} {:<19} {}\n", finding.what, name_of(finding.verdict), finding.reason);
        if (!finding.mend.empty()) fmt::print(out, "{:<42} mend: {}\n", "", finding.mend);
    }
    fmt::print(out, "{}\n", can_run(findings) ? "gpremap can run here." : "gpremap cannot run here.");
}

JsonObject json_of(const Findings& findings) {
    JsonObject all = JsonObject::array();
    for (const Finding& finding : findings)
        all.push_back({{"what", finding.what},
                       {"ok", finding.verdict == Verdict::ok},
                       {"needed", finding.needed},
                       {"reason", finding.reason},
                       {"mend", finding.mend}});
    return all;
}

std::vector<Finding> examine_host() {
    Findings findings;
    HostFacts host = read_host();
    examine_kvm(findings);
    examine_huge(host, findings);
    findings.push_back(examine_ring());
    findings.push_back(examine_userfaultfd());
    examine_limits(host, findings);
    examine_process(findings);
    add_libvirt(findings);
    for (const CompareNeed& need :
         examine_compare(can_compare_with_qemu() ? std::optional<std::string>("") : std::nullopt))
        findings.push_back(need.mend.empty() ? ok(need.what, need.reason)
                                             : slower(need.what, need.reason, need.mend));
    return findings;
}

// Prints what examine_host() finds. Returns the exit status: 0 where gpremap can run, 3 otherwise.
int run_doctor(const DoctorOptions& options, std::ostream& out) {
    JsonFile json(options.json);
    Findings findings = examine_host();
    print(out, findings);
    return json.write({{"schema", "gpremap.doctor/1"},
                       {"tool", {{"version", GPREMAP_VERSION}}},
                       {"host", gpremap::json_of(read_host())},
                       {"can_run", can_run(findings)},
                       {"findings", json_of(findings)}},
                      can_run(findings) ? 0 : 3);
}

}  // namespace

void add_doctor(Program& program) {
    CLI::App& verb = program.add_verb("doctor", "say what this host can do, with the reason and the mend");
    auto options = std::make_shared<DoctorOptions>();
    add_json(verb, options->json);
    verb.callback([&program, options] {
        program.work = [&program, options] {
            return run_doctor(*options, for_people(options->json, program.log));
        };
    });
}

}  // namespace gpremap
