// The agent's image in the process that is its world in a Linux guest, here in one of the host: the device is made up, and has
// an aperture of two pages of 2 MiB, a hole behind them.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

#include "guest/abi/workload.h"
#include "guest/linux/agent/vcpu.h"

extern "C" [[noreturn]] void enter_image(uint64_t entry, uint64_t stack_top, uint64_t vcpu,
                                         gpremap::abi::Mailbox* mailbox, uint64_t tables);

namespace gpremap {
namespace {

using abi::Call, abi::FaultCause, abi::FaultKind, abi::Op, abi::Outcome, abi::Report, abi::Step;

constexpr uint64_t huge = 2ull << 20;
constexpr uint64_t aperture = 1ull << 32;
constexpr uint64_t read_write = aperture, executable = aperture + huge, hole = aperture + 2 * huge;
constexpr uint64_t mailbox_at = 0x600000, stack_top = 0x620000, text_at = 0x630000;
constexpr uint64_t tables_at = 0x640000, empty_table = 0x641000;  // the image edits none that maps nothing

// What is mapped, as `query` tells.
uint64_t prot_at(uint64_t at) {
    if (at >= hole) return 0;
    return at >= executable ? GPREMAP_PROT_READ | GPREMAP_PROT_EXEC : GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
}

// Steps for the image, and what it reports.
class FakeVmm {
  public:
    Report perform(const Step& step) {
        std::unique_lock lock(mutex_);
        step_ = step;
        report_.reset();
        changed_.notify_all();
        changed_.wait(lock, [&] { return report_.has_value(); });
        return *report_;
    }

    int64_t call(const gpremap_batch_call& call) {
        std::unique_lock lock(mutex_);
        auto& mailbox = *reinterpret_cast<abi::Mailbox*>(mailbox_at);
        switch (static_cast<Call>(call.number)) {
            case Call::hello:
                return call.arg[0] == GPREMAP_ABI_VERSION ? 0 : -EPROTO;
            case Call::next:
                changed_.wait(lock, [&] { return step_.has_value(); });
                mailbox.step = *step_;
                step_.reset();
                return 0;
            case Call::done:
                report_ = mailbox.report;
                changed_.notify_all();
                return 0;
            case Call::query:
                return query(call);
            case Call::move:
                return static_cast<int64_t>(call.arg[1]);
            default:
                return -ENOSYS;
        }
    }

  private:
    static int64_t query(const gpremap_batch_call& call) {
        auto* extents = reinterpret_cast<abi::ExtentInfo*>(call.arg[2]);
        if (!prot_at(call.arg[0])) return 0;
        extents[0] = {call.arg[0], huge, prot_at(call.arg[0]), 0, 4096};
        return 1;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<Step> step_;
    std::optional<Report> report_;
};

// It is never destroyed: the image waits for its steps until the process ends.
FakeVmm& vmm() {
    static FakeVmm& only = *new FakeVmm;
    return only;
}

std::string image() {
    std::ifstream file(AGENT_IMAGE, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The entry point.
uint64_t load_image() {
    const std::string file = image();
    Elf64_Ehdr header;
    std::memcpy(&header, file.data(), sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        std::memcpy(&segment, file.data() + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_LOAD)
            std::memcpy(reinterpret_cast<void*>(segment.p_vaddr), file.data() + segment.p_offset,
                        segment.p_filesz);
    }
    return header.e_entry;
}

void map(uint64_t at, uint64_t size, int protection) {
    void* place = reinterpret_cast<void*>(at);
    ASSERT_EQ(mmap(place, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), place);
}

// The image runs on a thread that is never joined: it asks for steps as long as there is the process.
class Agent : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        map(abi::image_base, abi::agent_size - abi::image_base, PROT_READ | PROT_WRITE | PROT_EXEC);
        map(aperture, huge, PROT_READ | PROT_WRITE);
        map(executable, huge, PROT_READ);
        map(hole, huge, PROT_NONE);
        const uint64_t entry = load_image();
        reinterpret_cast<abi::Tables*>(tables_at)->root = empty_table;
        static const Device device;
        static VcpuState state{device, 0, *reinterpret_cast<abi::Mailbox*>(mailbox_at), stack_top};
        std::thread([entry] {
            take_signals(state);
            enter_image(entry, stack_top, 0, &state.mailbox, tables_at);
        }).detach();
    }

    static Report perform(Op op, std::initializer_list<uint64_t> args) {
        Step step = {};
        step.op = op;
        std::copy(args.begin(), args.end(), step.arg);
        return vmm().perform(step);
    }

    static Report run(const std::string& command, size_t room = 256) {
        char* text = reinterpret_cast<char*>(text_at);
        std::memset(text, 'x', 4096);
        std::memcpy(text, command.c_str(), command.size() + 1);
        return perform(Op::command, {text_at, room});
    }
    // Of the vCPU's workload.
    static volatile uint64_t& stop() { return reinterpret_cast<gpremap_workload*>(GPREMAP_WORKLOADS)->stop; }
    static std::string output() { return reinterpret_cast<const char*>(text_at); }
};

TEST_F(Agent, DoesStepsAsInRing3) {
    EXPECT_EQ(perform(Op::fill, {read_write, huge, 1, 7}).outcome, Outcome::ok);
    EXPECT_EQ(perform(Op::verify, {read_write, huge, 1, 7}).outcome, Outcome::ok);
    EXPECT_EQ(perform(Op::access, {read_write + 4096, 1, 5}).outcome, Outcome::ok);
    const Report report = perform(Op::verify, {read_write, huge, 1, 7});
    EXPECT_EQ(report.outcome, Outcome::mismatch);
    EXPECT_EQ(report.mismatch_at, read_write + 4096);
}

TEST_F(Agent, ReportsAHoleWithAddressAndKind) {
    const Report read = perform(Op::access, {hole + 24, 0});
    EXPECT_EQ(read.outcome, Outcome::fault);
    EXPECT_EQ(read.fault.address, hole + 24);
    EXPECT_EQ(read.fault.kind, FaultKind::read);
    EXPECT_EQ(read.fault.cause, FaultCause::stage2);
    const Report written = perform(Op::access, {hole + 32, 1, 1});
    EXPECT_EQ(written.outcome, Outcome::fault);
    EXPECT_EQ(written.fault.kind, FaultKind::write);
    // The vCPU goes on as if nothing had been.
    EXPECT_EQ(perform(Op::access, {read_write, 0}).outcome, Outcome::ok);
}

TEST_F(Agent, ReportsAWriteAgainstTheRights) {
    const Report report = perform(Op::access, {executable, 1, 1});
    EXPECT_EQ(report.outcome, Outcome::fault);
    EXPECT_EQ(report.fault.address, executable);
    EXPECT_EQ(report.fault.kind, FaultKind::write);
    EXPECT_EQ(report.fault.cause, FaultCause::stage2);
}

TEST_F(Agent, ExecutesWhereItMay) {
    const unsigned char twice[] = {0x8d, 0x04, 0x3f, 0xc3};  // lea (%rdi,%rdi), %eax; ret
    mprotect(reinterpret_cast<void*>(executable), huge, PROT_READ | PROT_WRITE);
    std::memcpy(reinterpret_cast<void*>(executable), twice, sizeof twice);
    mprotect(reinterpret_cast<void*>(executable), huge, PROT_READ);
    std::memcpy(reinterpret_cast<void*>(read_write), twice, sizeof twice);
    const Report report = perform(Op::exec, {executable, 21});
    EXPECT_EQ(report.outcome, Outcome::ok);
    EXPECT_EQ(report.result, 42);

    const Report refused = perform(Op::exec, {read_write, 21});
    EXPECT_EQ(refused.outcome, Outcome::fault);
    EXPECT_EQ(refused.fault.kind, FaultKind::execute);
    EXPECT_EQ(refused.fault.cause, FaultCause::exception);
    EXPECT_EQ(refused.fault.vector, 14u);
    EXPECT_EQ(refused.fault.address, read_write);
}

TEST_F(Agent, MakesCallsAlsoThoseForARing) {
    const uint64_t number = static_cast<uint64_t>(Call::move);
    EXPECT_EQ(perform(Op::call, {number, 1, 4096}).result, 4096);
    EXPECT_EQ(perform(Op::ring_call, {number, 1, 8192}).result, 8192);
}

TEST_F(Agent, RunsCommands) {
    EXPECT_EQ(run("echo out; echo err >&2; exit 3").result, 3);
    EXPECT_EQ(output(), "out\nerr\n");
    EXPECT_EQ(run("kill -9 $$").result, 128 + 9);
    EXPECT_EQ(output(), "");
}

TEST_F(Agent, KeepsTheEndOfACommandsOutput) {
    EXPECT_EQ(run("seq 100000", 16).result, 0);
    EXPECT_EQ(output(), "8\n99999\n100000\n");
}

TEST_F(Agent, DoesNotWaitForWhatACommandLeavesRunning) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(run("sleep 60 & echo left").result, 0);
    EXPECT_EQ(output(), "left\n");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST_F(Agent, TakesATextWithoutAnEndForNone) {
    EXPECT_EQ(run("echo a long one", 4).result, -EINVAL);
}

// With all that they have started.
TEST_F(Agent, EndsCommandsWhenItIsToldTo) {
    using std::chrono::milliseconds, std::chrono::seconds;
    const std::filesystem::path begun = testing::TempDir() + "begun-" + std::to_string(getpid());
    const std::string say_so = ": > " + begun.string() + "; ";
    for (const auto& [command, signal] : {std::pair(say_so + "sleep 600 | sleep 600", 15),
                                          std::pair("trap '' TERM; " + say_so + "sleep 600; sleep 600", 9)}) {
        std::filesystem::remove(begun);
        const auto begin = std::chrono::steady_clock::now();
        std::jthread teller([&] {
            for (int i = 0; i < 3000 && !std::filesystem::exists(begun); i++)
                std::this_thread::sleep_for(milliseconds(10));
            stop() = 1;
        });
        EXPECT_EQ(run(command).result, 128 + signal) << command;
        EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(60));
        teller.join();
        stop() = 0;
    }
    std::filesystem::remove(begun);
    EXPECT_EQ(run("exit 4").result, 4);
}

TEST_F(Agent, PlugsAndUnplugsByTheModule) {
    EXPECT_EQ(perform(Op::plug, {1ull << 27}).result, static_cast<int64_t>(1ull << 33));
    EXPECT_EQ(perform(Op::unplug, {1ull << 33, 1ull << 28, 5}).result, static_cast<int64_t>(1ull << 27));
}

}  // namespace

// ---- the device, as the process sees it ----

void give_up(const char* what) {
    std::fprintf(stderr, "the agent gives up: %s\n", what);
    std::_Exit(1);
}

Device::Device() : fd_(-1), world_{} {
    world_.tables = tables_at;
    world_.aperture_base = aperture;
    world_.aperture_size = 1ull << 30;
}
int64_t Device::call(unsigned, const gpremap_batch_call& call) const {
    return vmm().call(call);
}
int64_t Device::plug(uint64_t) const {
    return static_cast<int64_t>(1ull << 33);
}
int64_t Device::unplug(uint64_t, uint64_t, uint64_t) const {
    return static_cast<int64_t>(1ull << 27);
}
abi::ExtentInfo Device::extent_at(uint64_t at) const {
    return {at & ~(huge - 1), huge, prot_at(at), 0, 4096};
}
void Device::set_executable(uint64_t at, uint64_t size, bool is_executable) const {
    const int rights = prot_at(at) & GPREMAP_PROT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
    mprotect(reinterpret_cast<void*>(at), size, is_executable ? rights | PROT_EXEC : rights);
}

}  // namespace gpremap
