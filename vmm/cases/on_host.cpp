// The host as a place for cases: this machine's own mmap, mprotect, mlock, mseal and mremap.

#include <fcntl.h>
#include <fmt/format.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "remap/errno.h"
#include "vmm/cases/divergences.h"
#include "vmm/cases/runner.h"
#include "vmm/host/facts.h"

#ifndef __NR_mseal
#define __NR_mseal 462
#endif

namespace gpremap {

namespace {

constexpr uint64_t huge_granule = 2ull << 20;

// Where the kernel's own search for free space, downwards from the stack, does not come, nor a program's
// image or heap, nor the shadow of a sanitizer; a multiple of 1 GiB, as the window has it on a VM.
constexpr uint64_t host_window = 32ull << 40;

// One mapping of this process; `prot` in abi::prot_*.
struct HostMapping {
    LinuxMapping mapping;
    uint64_t prot;
};

void read_flags(const std::string& line, LinuxMapping& mapping) {
    std::istringstream flags(line.substr(line.find(':') + 1));
    for (std::string flag; flags >> flag;) {
        mapping.shared = mapping.shared || flag == "sh";
        mapping.sealed = mapping.sealed || flag == "sl";
        mapping.huge = mapping.huge || flag == "ht";
    }
}

std::vector<HostMapping> read_smaps() {
    std::ifstream smaps("/proc/self/smaps");
    std::vector<HostMapping> mappings;
    for (std::string line; std::getline(smaps, line);) {
        uint64_t begin = 0, end = 0;
        char prot[5] = {};
        if (sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, prot) == 3) {
            const uint64_t bits = (prot[0] == 'r' ? GPREMAP_PROT_READ : 0) |
                                  (prot[1] == 'w' ? GPREMAP_PROT_WRITE : 0) |
                                  (prot[2] == 'x' ? GPREMAP_PROT_EXEC : 0);
            mappings.push_back({{begin, end, false, false, false}, bits});
        } else if (line.starts_with("VmFlags:") && !mappings.empty()) {
            read_flags(line, mappings.back().mapping);
        }
    }
    return mappings;
}

[[noreturn]] void fail_errno(const std::string& attempt) {
    throw CaseFailed(fmt::format("{}: {}", attempt, strerror(errno)));
}

// TASK_SIZE: the end of what user space may map, which five-level paging moves.
uint64_t end_of_user_space() {
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line);)
        if (line.starts_with("flags")) {
            const bool five_levels = (line + " ").find(" la57 ") != std::string::npos;
            return (1ull << (five_levels ? 56 : 47)) - 4096;
        }
    return (1ull << 47) - 4096;
}

sigjmp_buf after_fault;

extern "C" void on_fault(int) {
    siglongjmp(after_fault, 1);
}

bool access_faults(uint64_t at, abi::FaultKind access) {
    struct sigaction action {
    }, old_segv{}, old_bus{};
    action.sa_handler = on_fault;
    sigaction(SIGSEGV, &action, &old_segv);
    sigaction(SIGBUS, &action, &old_bus);
    volatile bool faulted = true;
    if (sigsetjmp(after_fault, 1) == 0) {
        auto* word = reinterpret_cast<volatile uint64_t*>(at);
        if (access == abi::FaultKind::write)
            *word = 0;
        else
            static_cast<void>(*word);
        faulted = false;
    }
    sigaction(SIGSEGV, &old_segv, nullptr);
    sigaction(SIGBUS, &old_bus, nullptr);
    return faulted;
}

// Reads whatever its protection is; a page past the end of its object cannot be read even so.
class OwnMemory {
  public:
    OwnMemory() : fd_(open("/proc/self/mem", O_RDONLY | O_CLOEXEC)) {
        if (fd_ < 0) fail_errno("open /proc/self/mem");
    }
    ~OwnMemory() { close(fd_); }
    OwnMemory(const OwnMemory&) = delete;
    OwnMemory& operator=(const OwnMemory&) = delete;

    bool read(uint64_t at, std::vector<uint8_t>& bytes) const {
        return pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
               static_cast<ssize_t>(bytes.size());
    }

  private:
    int fd_;
};

class HostPlace : public CasePlace {
  public:
    explicit HostPlace(uint64_t granule) : granule_(granule), end_(end_of_user_space()) {}

    uint64_t window() const override { return host_window; }
    uint64_t aperture_end() const override { return end_; }

    void build(const Case& c) override {
        need_what_the_host_has(c);
        // First all are mapped: neighbours that nothing tells apart become one mapping then, and not later.
        for (const PictureRun& run : runs_of(c)) map_run(run);
        for (const PictureRun& run : runs_of(c)) fill_run(c, run);
        for (const PictureRun& run : runs_of(c))
            if (run.attribute == Attribute::sealed) seal(run);
    }

    int64_t call(const RawCall& call) override {
        const auto& [old, old_size, new_size, flags, to, unused] = call.args;
        std::vector<LinuxMapping> before;
        for (const HostMapping& one : read_smaps()) before.push_back(one.mapping);
        if (const Divergence* divergence = divergence_of({old, old_size, new_size, flags, to}, before))
            throw CaseSkipped(fmt::format("divergence {}: {}", divergence->id, divergence->on_linux));
        const long result = syscall(SYS_mremap, old, old_size, new_size, flags, to);
        return result == -1 ? -static_cast<int64_t>(errno) : result;
    }

    bool faults(uint64_t at, abi::FaultKind access) override { return access_faults(at, access); }

    // Neither reading nor writing it could show more than smaps and the contents do.
    std::string picture(uint64_t at, uint64_t granules, Touch) override {
        const auto mappings = read_smaps();
        std::string seen;
        for (uint64_t i = 0; i < granules; ++i) seen += granule_seen(mappings, at + i * granule_);
        return seen;
    }

    uint64_t extents(uint64_t at, uint64_t granules) override {
        const uint64_t end = at + granules * granule_;
        const auto mappings = read_smaps();
        return static_cast<uint64_t>(std::ranges::count_if(mappings, [&](const HostMapping& one) {
            return one.mapping.begin < end && at < one.mapping.end;
        }));
    }

    uint64_t peek(uint64_t at) override {
        std::vector<uint8_t> bytes(sizeof(uint64_t));
        if (!memory_.read(at, bytes)) throw CaseFailed(fmt::format("nothing can be read at {:#x}", at));
        uint64_t word;
        memcpy(&word, bytes.data(), sizeof word);
        return word;
    }

    void poke(uint64_t at, uint64_t value) override {
        if (mprotect(reinterpret_cast<void*>(at), granule_, PROT_READ | PROT_WRITE) != 0)
            fail_errno(fmt::format("making {:#x} writable", at));
        memcpy(reinterpret_cast<void*>(at), &value, sizeof value);
    }

  private:
    void need_what_the_host_has(const Case& c) const {
        if (c.limit || c.lock_limit || c.max_extents) throw CaseSkipped("limits are those of a VM");
        for (const Attribute attribute : c.attrs)
            if (attribute == Attribute::pinned) throw CaseSkipped("the host cannot pin memory");
        for (const CaseStep& step : c.steps) need_host_step(step);
        // Twice what is mapped: the most that a move with DONTUNMAP needs at once.
        const auto mapped = c.before.size() - static_cast<size_t>(std::ranges::count(c.before, '.'));
        const auto huge = c.granule == huge_granule ? read_huge_pages(huge_granule) : std::nullopt;
        if (c.granule == huge_granule && (!huge || huge->free < 2 * mapped))
            throw CaseSkipped(
                fmt::format("needs {} free huge pages: raise /proc/sys/vm/nr_hugepages", 2 * mapped));
    }

    void need_host_step(const CaseStep& step) const {
        if (const auto* fault = std::get_if<CaseFault>(&step.action)) return need_relative(fault->at);
        const auto* call = std::get_if<CallAction>(&step.action);
        if (call == nullptr || call->number != abi::Call::linux_mremap)
            throw CaseSkipped("the host has only the calls of Linux");
        need_relative(call->source->at);
        const Operand& to = call->args[4].value;
        if (!to.is_zero()) need_relative(to);
    }

    void need_relative(const Operand& address) const {
        if (address.kind == Operand::Kind::number && address.offset < end_)
            throw CaseSkipped("an absolute guest-physical address means nothing on the host");
    }

    void map_run(const PictureRun& run) {
        const uint64_t at = host_window + run.begin * granule_;
        const uint64_t size = (run.end - run.begin) * granule_;
        const int flags = MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
                          (run.attribute == Attribute::shared ? MAP_SHARED : MAP_PRIVATE) |
                          (granule_ == huge_granule ? MAP_HUGETLB : 0);
        void* const memory = reinterpret_cast<void*>(at);
        if (mmap(memory, size, PROT_READ | PROT_WRITE, flags, -1, 0) != memory)
            fail_errno(fmt::format("mmap of granules {} to {}", run.begin, run.end - 1));
    }

    void fill_run(const Case& c, const PictureRun& run) {
        void* const memory = reinterpret_cast<void*>(host_window + run.begin * granule_);
        const uint64_t size = (run.end - run.begin) * granule_;
        // Untouched huge pages of which a part moves are lost to the host's pool (Linux 6.18 too).
        const bool touch_all = granule_ == huge_granule;
        for (uint64_t i = run.begin; i < run.end; ++i)
            if (touch_all || byte_of_picture(c.before[i]) != 0)
                memset(reinterpret_cast<void*>(host_window + i * granule_), byte_of_picture(c.before[i]),
                       granule_);
        const int prot = static_cast<int>(run.prot);
        if (prot != (PROT_READ | PROT_WRITE) && mprotect(memory, size, prot) != 0) fail_errno("mprotect");
        if (run.attribute == Attribute::locked && mlock(memory, size) != 0) fail_errno("mlock");
    }

    void seal(const PictureRun& run) {
        const uint64_t at = host_window + run.begin * granule_;
        if (syscall(__NR_mseal, at, (run.end - run.begin) * granule_, 0) == 0) return;
        if (errno == ENOSYS) throw CaseSkipped("this kernel has no mseal");
        fail_errno("mseal");
    }

    char granule_seen(const std::vector<HostMapping>& mappings, uint64_t at) const {
        const auto found = std::ranges::find_if(mappings, [&](const HostMapping& one) {
            return one.mapping.begin < at + granule_ && at < one.mapping.end;
        });
        if (found == mappings.end()) return '.';
        if (found->mapping.begin > at || found->mapping.end < at + granule_) return '!';
        if (found->prot == 0) return '_';
        std::vector<uint8_t> bytes(granule_);
        if (!memory_.read(at, bytes)) return '!';
        if (std::ranges::any_of(bytes, [&](uint8_t byte) { return byte != bytes.front(); })) return '?';
        const char letter = letter_of_byte(bytes.front());
        const bool read_only = (found->prot & GPREMAP_PROT_WRITE) == 0;
        return read_only ? static_cast<char>(toupper(letter)) : letter;
    }

    uint64_t granule_;
    uint64_t end_;
    OwnMemory memory_;
};

void write_all(int fd, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t written = write(fd, text.data() + done, text.size() - done);
        if (written <= 0) return;  // the reader sees that the report is cut short
        done += static_cast<size_t>(written);
    }
}

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(got));
    return text;
}

[[noreturn]] void report_from_child(const Case& c, int fd) {
    CaseOutcome outcome;
    try {
        HostPlace place(c.granule);
        outcome = run_case(place, c);
    } catch (const std::exception& error) {
        outcome = {CaseOutcome::Status::failed, c.after, "", error.what()};
    }
    const nlohmann::json report = {{"status", outcome.status},
                                   {"expected", outcome.expected},
                                   {"actual", outcome.actual},
                                   {"detail", outcome.detail}};
    write_all(fd, report.dump());
    _exit(0);
}

CaseOutcome outcome_of(const Case& c, const std::string& text, int status) {
    const auto report = nlohmann::json::parse(text, nullptr, false);
    if (report.is_discarded())
        return {CaseOutcome::Status::failed, c.after, "",
                fmt::format("the case's process ended early, with wait status {:#x}", status)};
    return {report["status"].get<CaseOutcome::Status>(), report["expected"], report["actual"],
            report["detail"]};
}

}  // namespace

CaseOutcome run_case_on_host(const Case& c) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        close(ends[0]);
        report_from_child(c, ends[1]);
    }
    close(ends[1]);
    const std::string text = read_all(ends[0]);
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return outcome_of(c, text, status);
}

}  // namespace gpremap
