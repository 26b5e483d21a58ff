#include "tests/model/host/sequence.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <system_error>

#include "vmm/cases/divergences.h"

namespace host_oracle {
namespace {

constexpr size_t longest = 150;
// Sealed mappings stay until a process ends; this many sequences leave few enough of them.
constexpr uint64_t sequences_of_a_child = 2000;

// What a child tells its parent, also when it crashes: the memory is shared.
struct Report {
    uint64_t calls, sequences, half_done, full;
    std::array<uint64_t, 16> left_out;  // in the order of the table, then of other_reasons
    uint64_t seed;                      // of the sequence that is being made
    size_t length;
    std::array<LinuxCall, longest> made;
    std::array<char, 2048> difference;
    std::array<char, 512> before, attributes;

    void differ(const std::string& text) { copy(text, difference); }
    template <size_t n>
    static void copy(const std::string& text, std::array<char, n>& to) {
        std::snprintf(to.data(), n, "%s", text.c_str());
    }
};

class SharedReport {
  public:
    SharedReport()
        : report_(static_cast<Report*>(
              mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
        if (report_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    }
    ~SharedReport() { munmap(report_, sizeof(Report)); }
    SharedReport(const SharedReport&) = delete;
    SharedReport& operator=(const SharedReport&) = delete;
    Report* operator->() const { return report_; }
    Report& operator*() const { return *report_; }

  private:
    Report* report_;
};

// Runs `work` in a child. A crash is noted as the difference.
void in_child(Report& report, const std::function<void()>& work) {
    std::fflush(nullptr);
    pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        try {
            work();
        } catch (const std::exception& error) {
            report.differ(error.what());
        }
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
    if (WIFSIGNALED(status)) report.differ(std::string("the child died: ") + strsignal(WTERMSIG(status)));
}

// Why a call may be left out: the listed divergences, and what Lockstep adds.
std::vector<std::string_view> all_reasons() {
    std::vector<std::string_view> reasons;
    for (const gpremap::Divergence& listed : gpremap::divergences()) reasons.push_back(listed.id);
    reasons.push_back(several_mappings);
    reasons.push_back(leaves_locked);
    reasons.push_back(left_apart);
    return reasons;
}

void count(Report& report, const Outcome& outcome) {
    if (outcome.kind == Outcome::Kind::half_done) ++report.half_done;
    if (outcome.kind == Outcome::Kind::full) ++report.full;
    if (outcome.kind != Outcome::Kind::left_out) return;
    auto reasons = all_reasons();
    ++report.left_out[static_cast<size_t>(std::find(reasons.begin(), reasons.end(), outcome.reason) -
                                          reasons.begin())];
}

bool goes_on(const Outcome& outcome) {
    return outcome.kind == Outcome::Kind::same || outcome.kind == Outcome::Kind::left_out;
}

Setup setup_of(uint64_t seed, Lockstep::Several several) {
    return {seed % 2 ? remap::FreshMemory::object : remap::FreshMemory::anon, several,
            seed / 2 % 2 ? ample_locks : 1 + seed / 4 % window_pages};
}

// One random sequence; true where the two sides are alike to its end.
bool make_sequence(Report& report, HostWindow& host, Lockstep::Several several) {
    std::mt19937_64 random(report.seed);
    Setup setup = setup_of(report.seed, several);
    Lockstep both(host, setup.fresh, setup.several, setup.lock_limit);
    for (report.length = 0; report.length < longest;) {
        LinuxCall call = random_call(random, both.space());
        report.made[report.length++] = call;
        Outcome outcome = both.make(call);
        ++report.calls;
        count(report, outcome);
        if (outcome.kind == Outcome::Kind::different) report.differ(outcome.difference);
        if (!goes_on(outcome)) break;
    }
    ++report.sequences;
    return report.difference[0] == 0;
}

void add_to(Tally& tally, const Report& report) {
    tally.calls += report.calls;
    tally.sequences += report.sequences;
    tally.half_done += report.half_done;
    tally.full += report.full;
    auto reasons = all_reasons();
    for (size_t index = 0; index < reasons.size(); ++index)
        tally.left_out[std::string(reasons[index])] += report.left_out[index];
}

// Makes the calls on a fresh window, and notes what the last one found and left.
void make_all(Report& report, const Sequence& sequence, const Setup& setup) {
    HostWindow host;
    Lockstep both(host, setup.fresh, setup.several, setup.lock_limit);
    for (const LinuxCall& call : sequence) {
        Report::copy(both.picture(), report.before);
        Report::copy(both.attributes(), report.attributes);
        Outcome outcome = both.make(call);
        if (outcome.kind == Outcome::Kind::different) report.differ(outcome.difference);
        if (!goes_on(outcome)) return;
    }
}

}  // namespace

std::optional<Found> run(uint64_t seed, uint64_t calls, Lockstep::Several several, Tally& tally) {
    while (tally.calls < calls) {
        SharedReport report;
        report->seed = seed;
        in_child(*report, [&] {
            HostWindow host;
            for (uint64_t done = 0; done < sequences_of_a_child && tally.calls + report->calls < calls;
                 ++done, ++report->seed)
                if (!make_sequence(*report, host, several)) return;
        });
        add_to(tally, *report);
        seed = report->seed;
        if (report->difference[0] == 0) continue;
        Sequence sequence(report->made.begin(),
                          report->made.begin() + static_cast<ptrdiff_t>(report->length));
        return Found{seed, setup_of(seed, several), sequence, report->difference.data()};
    }
    return std::nullopt;
}

std::string replay(const Sequence& sequence, const Setup& setup) {
    SharedReport report;
    in_child(*report, [&] { make_all(*report, sequence, setup); });
    return report->difference.data();
}

// ---- shrinking ----

namespace {

// Keeps `candidate` where it still differs.
bool try_instead(Found& found, const Sequence& candidate) {
    std::string difference = replay(candidate, found.setup);
    if (difference.empty()) return false;
    found.sequence = candidate;
    found.difference = difference;
    return true;
}

bool drop_calls(Found& found) {
    bool any = false;
    for (size_t length = found.sequence.size(); length >= 1; length /= 2)
        for (size_t at = 0; at + length <= found.sequence.size();) {
            Sequence fewer = found.sequence;
            auto first = fewer.begin() + static_cast<ptrdiff_t>(at);
            fewer.erase(first, first + static_cast<ptrdiff_t>(length));
            if (try_instead(found, fewer))
                any = true;
            else
                at += length;
        }
    return any;
}

// Whether both sides can mean the same: not between the end of the model's aperture and the end of the
// host's address space.
bool is_sound(const LinuxCall& call, uint64_t base) {
    auto is_size = [](uint64_t size) { return size <= 2 * largest_pages * page || size >= beyond; };
    auto is_address = [&](uint64_t relative) {
        return relative < (aperture_pages - 3 * largest_pages) * page || base + relative >= beyond;
    };
    bool no_hint = base + call.to == 0 && !(call.flags & remap::linux_calls::mremap_fixed);
    // See linux_call.cpp on sizes that do not wrap.
    bool may_be_huge = call.kind == LinuxCall::Kind::mremap || call.kind == LinuxCall::Kind::mmap;
    if (!may_be_huge && call.len > 2 * largest_pages * page && call.len < UINT64_MAX - 2 * page) return false;
    return is_size(call.len) && is_size(call.new_len) && is_address(call.at) &&
           (no_hint || is_address(call.to));
}

// Plainer values for one argument, the plainest first.
std::vector<uint64_t> plainer(uint64_t value) {
    std::vector<uint64_t> values;
    for (uint64_t candidate : {uint64_t{0}, page, value / 2 / page * page, value / page * page})
        if (candidate < value) values.push_back(candidate);
    if (value > page && value < beyond) values.push_back(value - page);
    return values;
}

bool simplify_arguments(Found& found) {
    bool any = false;
    for (size_t index = 0; index < found.sequence.size(); ++index)
        for (auto field : {&LinuxCall::at, &LinuxCall::len, &LinuxCall::new_len, &LinuxCall::to})
            for (uint64_t value : plainer(found.sequence[index].*field)) {
                Sequence simpler = found.sequence;
                simpler[index].*field = value;
                if (!is_sound(simpler[index], HostWindow().base())) continue;
                if (!try_instead(found, simpler)) continue;
                any = true;
                break;
            }
    return any;
}

}  // namespace

Found shrunk(Found found) {
    // A difference that depends on what an earlier sequence left behind does not show again: it stays whole.
    if (!try_instead(found, found.sequence)) return found;
    while (drop_calls(found) || simplify_arguments(found)) {
    }
    return found;
}

std::string as_case(const Found& found) {
    SharedReport report;
    in_child(*report, [&] { make_all(*report, found.sequence, found.setup); });
    std::string out = "# Sequence seed " + std::to_string(found.seed) + ", backing " +
                      (found.setup.fresh == remap::FreshMemory::anon ? "anon" : "object") + ": " +
                      found.difference + "\n# The calls, from an empty window on:\n";
    for (const LinuxCall& call : found.sequence) out += "#   " + text(call) + "\n";
    out += "[[case]]\nname   = \"differs from the host, sequence seed " + std::to_string(found.seed) + "\"\n";
    out += "before = \"" + std::string(report->before.data()) + "\"\n";
    std::string attributes = report->attributes.data();
    if (attributes.find_first_not_of('-') != std::string::npos) out += "attrs  = \"" + attributes + "\"\n";
    out += "calls  = [ " + (found.sequence.empty() ? "" : text(found.sequence.back())) + " ]\n";
    return out + "lock_limit = " + std::to_string(found.setup.lock_limit) + "\n";
}

}  // namespace host_oracle
