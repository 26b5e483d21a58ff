#include "vmm/kvm/pause_costs.h"

#include <sys/mman.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "vmm/base/spread.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t flushes = 9, pauses = 5;
// A vCPU that has been let in again is soon there; one that has been given nothing to do never is.
constexpr auto longest_wait = std::chrono::milliseconds(5);

// A page of the process's, of which the guest knows nothing.
class Page {
  public:
    Page() : at_(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~Page() {
        if (valid()) munmap(at_, size);
    }
    Page(const Page&) = delete;
    Page& operator=(const Page&) = delete;

    bool valid() const { return at_ != MAP_FAILED; }
    // Makes it writable and present; nobody's TLB has to be flushed for that.
    bool open() {
        if (mprotect(at_, size, PROT_READ | PROT_WRITE) != 0) return false;
        *static_cast<volatile char*>(at_) = 1;
        return true;
    }
    // Takes a right away from what is present: one flush.
    bool close() { return mprotect(at_, size, PROT_READ) == 0; }

  private:
    static constexpr std::size_t size = 4096;
    void* at_;
};

// Of the same number of vCPUs, before and after, or the sample says nothing.
class Sampler {
  public:
    Sampler(const VcpuGate& gate, unsigned vcpu) : gate_(gate), vcpu_(vcpu), running_(in_guest_mode()) {}

    // False where they do not run any more.
    template <class Work>
    bool take(std::vector<uint64_t>& samples, Work work) {
        for (auto end = Clock::now() + longest_wait; in_guest_mode() < running_; std::this_thread::yield())
            if (Clock::now() > end) return false;
        const auto begin = Clock::now();
        if (!work()) return false;
        samples.push_back(static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count()));
        return true;
    }

  private:
    unsigned in_guest_mode() const { return gate_.others_in_guest_mode(vcpu_); }

    const VcpuGate& gate_;
    const unsigned vcpu_;
    const unsigned running_;
};

}  // namespace

std::optional<PauseCosts> measure_pause_costs(Vm& vm, unsigned vcpu) {
    Page page;
    Sampler sampler(vm.gate(), vcpu);
    std::vector<uint64_t> flush_ns, pause_ns;
    for (std::size_t i = 0; i < flushes; ++i) {
        if (!page.valid() || !page.open()) return std::nullopt;
        if (!sampler.take(flush_ns, [&] { return page.close(); })) return std::nullopt;
    }
    auto pause = [&] {
        const PausedVcpus paused = vm.pause_others(vcpu);
        return true;
    };
    for (std::size_t i = 0; i < pauses; ++i)
        if (!sampler.take(pause_ns, pause)) return std::nullopt;
    return PauseCosts{spread_of(std::move(flush_ns)).median, spread_of(std::move(pause_ns)).median};
}

}  // namespace gpremap
