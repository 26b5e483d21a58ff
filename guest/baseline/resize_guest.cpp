// What runs in a Linux guest that `gpremap compare` resizes. It does what it is told over a channel, a line
// each, and answers every line with one. Sizes and addresses are in bytes, times in nanoseconds by the
// guest's clock.
//
//     (at the start)     hello TOTAL             memory that Linux manages, as in /proc/meminfo
//     total              total TOTAL
//     hold LEAVE         held SIZE               takes all free memory but LEAVE for good, and stamps it
//     await least TOTAL  watching                and when TOTAL is reached, from below
//     await most TOTAL   watching                or from above:
//                        reached LOST PAUSE      of the workload's time meanwhile: how much got no work done,
//                        and
//                                                the longest that it stood still
//     use SIZE           used TIME               has SIZE touched, a stamp in every page; what is above goes
//     back to Linux verify             right SIZE, or wrong AT of all that is held and used
//
//     resize_guest           the channel is QEMU's port, /dev/vport*
//     resize_guest IN OUT    two FIFOs, by which a shell in the same guest passes lines on
//
// Where the channel ends, so does the machine: nobody is left who would stop it.
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t most = 1ull << 40;  // address space for what is used

uint64_t now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

void nap(long ns) {
    const timespec time{0, ns};
    nanosleep(&time, nullptr);
}

void run_on(int cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof(cpus), &cpus);
}

uint64_t total_memory() {
    struct sysinfo info;
    sysinfo(&info);
    return info.totalram * info.mem_unit;
}

uint64_t free_memory() {
    struct sysinfo info;
    sysinfo(&info);
    return info.freeram * info.mem_unit;
}

// Address space whose first bytes are touched.
class Memory {
  public:
    Memory() {
        void* at =
            mmap(nullptr, most, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at == MAP_FAILED) std::abort();
        at_ = static_cast<char*>(at);
    }

    uint64_t size() const { return size_; }

    void resize(uint64_t size) {
        for (uint64_t offset = size_; offset < size; offset += page) word(offset) = stamp(offset);
        if (size < size_) madvise(at_ + size, size_ - size, MADV_DONTNEED);
        size_ = size;
    }

    // The first byte that is not as it was stamped, or null.
    const volatile void* find_wrong() {
        for (uint64_t offset = 0; offset < size_; offset += page)
            if (word(offset) != stamp(offset)) return &word(offset);
        return nullptr;
    }

  private:
    // Not always the page's first: a page that was zeroed or exchanged in part is noticed more often.
    volatile uint64_t& word(uint64_t offset) {
        return *reinterpret_cast<volatile uint64_t*>(at_ + offset + offset / page % 512 * 8);
    }
    uint64_t stamp(uint64_t offset) const {
        return (offset + reinterpret_cast<uintptr_t>(this) + 1) * 0x9e3779b97f4a7c15ull;
    }

    char* at_;
    uint64_t size_ = 0;
};

// Writes to memory of its own, on a processor of its own, for ever.
class Workload {
  public:
    void start() {
        std::thread([this] { run(); }).detach();
    }

    struct Mark {
        uint64_t at;
        uint64_t rounds;
    };
    Mark mark() {
        longest_ = 0;
        return {now(), rounds_};
    }

    uint64_t rounds() const { return rounds_; }
    // Since the mark, and that which lasts still.
    uint64_t longest() const {
        const uint64_t last = last_, time = now();  // in this order, and clocks of two processors may differ
        return std::max<uint64_t>(longest_, time > last ? time - last : 0);
    }

  private:
    static constexpr uint64_t size = 4 << 20, writes = 1024;  // of a round: a few microseconds

    void run() {
        run_on(1);
        std::vector<uint64_t> memory(size / sizeof(uint64_t));
        last_ = now();
        for (uint64_t at = 0;; rounds_++) {
            for (uint64_t i = 0; i < writes; i++, at = (at + 9) % memory.size())
                *static_cast<volatile uint64_t*>(&memory[at]) = at;
            const uint64_t time = now();
            if (time - last_ > longest_) longest_ = time - last_;
            last_ = time;
        }
    }

    std::atomic<uint64_t> rounds_ = 0;
    std::atomic<uint64_t> longest_ = 0;
    std::atomic<uint64_t> last_ = 0;  // when a round ended
};

// Whether nobody is at the other end any more.
bool has_ended(FILE* channel) {
    pollfd port{fileno(channel), 0, 0};
    return poll(&port, 1, 0) > 0 && (port.revents & POLLHUP);
}

// Waits until Linux has as much memory, or as little, and says what that cost the workload.
void await(bool at_least, uint64_t total, Workload& workload, FILE* channel) {
    constexpr long observed = 200'000'000, interval = 200'000;  // ns
    const Workload::Mark before = workload.mark();
    nap(observed);
    const Workload::Mark begin = workload.mark();
    std::fprintf(channel, "watching\n");
    std::fflush(channel);
    while (at_least ? total_memory() < total : total_memory() > total) {
        if (has_ended(channel)) return;
        nap(interval);
    }
    const uint64_t took = now() - begin.at, done = workload.rounds() - begin.rounds,
                   longest = workload.longest();
    const double of_a_round =
        static_cast<double>(begin.at - before.at) / static_cast<double>(begin.rounds - before.rounds + 1);
    const double lost = static_cast<double>(took) - static_cast<double>(done) * of_a_round;
    std::fprintf(channel, "reached %" PRIu64 " %" PRIu64 "\n", lost > 0 ? static_cast<uint64_t>(lost) : 0,
                 longest);
}

struct Guest {
    Memory held;
    Memory used;
    Workload workload;
    FILE* channel;

    void obey(const char* line) {
        uint64_t number = 0;
        char bound[8] = "";
        if (std::sscanf(line, "await %7s %" SCNu64, bound, &number) == 2) {
            await(std::strcmp(bound, "least") == 0, number, workload, channel);
        } else if (std::sscanf(line, "hold %" SCNu64, &number) == 1) {
            const uint64_t free = free_memory();
            held.resize(free > number ? (free - number) / page * page : 0);
            std::fprintf(channel, "held %" PRIu64 "\n", held.size());
        } else if (std::sscanf(line, "use %" SCNu64, &number) == 1) {
            const uint64_t begin = now();
            used.resize(number);
            std::fprintf(channel, "used %" PRIu64 "\n", now() - begin);
        } else if (std::strcmp(line, "verify\n") == 0) {
            verify();
        } else if (std::strcmp(line, "total\n") == 0) {
            std::fprintf(channel, "total %" PRIu64 "\n", total_memory());
        } else {
            std::fprintf(channel, "unknown %s", line);
        }
        std::fflush(channel);
    }

    void verify() {
        for (Memory* memory : {&held, &used})
            if (const volatile void* wrong = memory->find_wrong()) {
                std::fprintf(channel, "wrong %p\n", const_cast<const void*>(wrong));
                return;
            }
        std::fprintf(channel, "right %" PRIu64 "\n", held.size() + used.size());
    }
};

// The only port; its number depends on which other devices there are. -1 where there is none.
int open_port() {
    glob_t found;
    if (glob("/dev/vport*", 0, nullptr, &found) != 0) return -1;
    return open(found.gl_pathv[0], O_RDWR | O_CLOEXEC);
}

// Open at both ends, so that neither ends with the shell that has used it last.
int open_fifo(const char* path) {
    return open(path, O_RDWR | O_CLOEXEC);
}

}  // namespace

int main(int argc, char** argv) {
    static Guest guest;
    run_on(0);
    const bool by_fifos = argc == 3;
    const int input = by_fifos ? open_fifo(argv[1]) : open_port();
    const int output = by_fifos ? open_fifo(argv[2]) : dup(input);
    FILE* in = input >= 0 ? fdopen(input, "r") : nullptr;
    guest.channel = output >= 0 ? fdopen(output, "w") : nullptr;
    if (!in || !guest.channel) {
        std::perror("resize_guest: its channel");
    } else {
        guest.workload.start();
        std::fprintf(guest.channel, "hello %" PRIu64 "\n", total_memory());
        std::fflush(guest.channel);
        for (char line[80]; std::fgets(line, sizeof(line), in);) guest.obey(line);
    }
    reboot(RB_POWER_OFF);
}
