// Programs of odd and of random instructions, in ring 3, and in ring 0 with what handles exceptions, rewritten while they run.
#include <cstddef>
#include <exception>
#include <optional>

#include "guest/abi/workload.h"
#include "tests/vmm/hostile/hostile.h"
#include "tests/vmm/hostile/program_runner.h"
#include "vmm/base/errors.h"

extern "C" {
extern const unsigned char program_runner[], program_runner_end[], debug_handler[], debug_handler_end[];
}

namespace gpremap {
namespace {

// How program_runner.S begins.
struct Runner {
    uint64_t entry;
    uint32_t next;   // index of the program that comes next
    uint32_t count;  // of programs
};

constexpr uint64_t vector_size = 16, debug_stub = layout::stubs + vector_size;
static_assert(RUNNER_AT == GPREMAP_PROGRAMS && DEBUG_STUB_AT == debug_stub);
static_assert(HYPERCALL_PORT == GPREMAP_HYPERCALL_PORT && EXCEPTION_PORT == abi::exception_port);
static_assert(CALL_FAULT_HANDLER == static_cast<int>(abi::Call::fault_handler));
static_assert(CALL_RESUME == static_cast<int>(abi::Call::resume));

class HostilePrograms : public Hostile {
  protected:
    static constexpr uint32_t most_programs = 4096;
    static constexpr uint64_t rare = 400;  // one in so many

    // Odd instructions and random bytes, in some order. Ports that are none end the guest, so few programs have these.
    std::vector<uint8_t> any_program() {
        static const std::vector<std::vector<uint8_t>> ports = {
            {0xe6, 0xe4},  // the port of calls, a byte
            {0xe5, 0xe4},  // in
            {0xef},        // out %eax, %dx
            {0xec},        // in %dx, %al
            {0xf3, 0x6e},  // rep outsb
            {0xf3, 0x6d},  // rep insl
        };
        static const std::vector<std::vector<uint8_t>> odd = {
            {0xf4},              // hlt
            {0xcc},              // int3
            {0xcd, 0x80},        // int 0x80
            {0x0f, 0x0b},        // ud2
            {0xfa},              // cli
            {0x0f, 0x30},        // wrmsr
            {0x0f, 0x01, 0xd9},  // vmmcall
            {0x0f, 0x01, 0xc1},  // vmcall
            {0xe7, 0xe4},        // out %eax, $0xe4: a call with what is in the registers
            {0x48, 0xb8, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0x89, 0x00},                 // a store to what nobody has
            {0x48, 0xb8, 0, 0, 0, 0, 1, 0, 0, 0, 0xf0, 0x48, 0x0f, 0xc7, 0x08},  // cmpxchg16b there
            {0x0f, 0x01, 0x1c, 0x24},        // lidt (%rsp): the next fault is a triple one
            {0x0f, 0x22, 0xd8},              // mov %rax, %cr3
            {0x0f, 0xae, 0x38},              // clflush
            {0x0f, 0x0d, 0x08},              // prefetchw
            {0xeb, 0xfe},                    // for ever
            {0xf3, 0x48, 0xa5},              // rep movsq
            {0xf3, 0x48, 0xab},              // rep stosq
            {0x0f, 0xae, 0x00},              // fxsave (%rax)
            {0xf0, 0x48, 0x0f, 0xc1, 0x11},  // lock xadd %rdx, (%rcx)
            {0xf3, 0x0f, 0x7f, 0x06},        // movdqu %xmm0, (%rsi)
            {0xff, 0x37},                    // push (%rdi)
            {0xff, 0x10},                    // call *(%rax)
            {0xff, 0xe2},                    // jmp *%rdx
            {0x9d},                          // popf
            {0x0f, 0x05},                    // syscall
        };
        std::vector<uint8_t> program;
        for (uint64_t parts = 1 + below(12); parts > 0; parts--) {
            if (below(3) == 0) {
                for (uint64_t bytes = 1 + below(16); bytes > 0; bytes--) program.push_back(any_byte());
            } else if (below(3) == 0) {  // a register, most often an argument of a call
                program.insert(program.end(), {0x48, static_cast<uint8_t>(0xb8 + below(8))});
                const uint64_t value = below(2) ? number() : static_cast<uint64_t>(any_call_number());
                for (int i = 0; i < 8; i++) program.push_back(static_cast<uint8_t>(value >> 8 * i));
            } else {
                const auto& some = below(rare) ? odd[below(odd.size())] : ports[below(ports.size())];
                program.insert(program.end(), some.begin(), some.end());
            }
        }
        program.push_back(0xc3);  // ret
        return program;
    }

    // Most opcodes of `in`, `out`, `ins` and `outs` are left out.
    uint8_t any_byte() {
        const auto byte = static_cast<uint8_t>(random_());
        const bool is_port = (byte & 0xf4) == 0xe4 || (byte & 0xfc) == 0x6c;
        constexpr uint8_t nop = 0x90;
        return is_port && below(rare) ? nop : byte;
    }

    void write(uint64_t at, const void* data, size_t size) {
        ASSERT_TRUE(machine_->guest().write(at, data, size));
    }

    void boot_for_programs(uint64_t seed) {
        boot_guest(seed, 1);
        perform(call(abi::Call::map, base, 32 * page, rw | GPREMAP_PROT_EXEC));
        const uint64_t kind = GPREMAP_PROGRAM;
        write(GPREMAP_WORKLOADS + offsetof(gpremap_area, workload.kind), &kind, sizeof kind);
    }

    const Runner& runner() {
        return *reinterpret_cast<const Runner*>(
            machine_->guest().own_memory(GPREMAP_PROGRAMS, sizeof(Runner)));
    }
    uint32_t programs_begun() {
        return std::min(__atomic_load_n(&runner().next, __ATOMIC_RELAXED), most_programs);
    }

    void write_programs(const std::vector<std::vector<uint8_t>>& programs) {
        const auto runner_size = static_cast<size_t>(program_runner_end - program_runner);
        const auto count = static_cast<uint32_t>(programs.size());
        write(GPREMAP_PROGRAMS, program_runner, runner_size);
        write(GPREMAP_PROGRAMS + offsetof(Runner, count), &count, sizeof count);
        write(debug_stub, debug_handler, static_cast<size_t>(debug_handler_end - debug_handler));
        for (size_t i = 0; i < count; i++)
            write(GPREMAP_PROGRAMS + runner_size + i * PROGRAM_STRIDE, programs[i].data(),
                  std::min<size_t>(programs[i].size(), PROGRAM_STRIDE));
    }

    // Until the guest has done them all, or has died, or does not get on: then it is ended.
    void wait_for_programs() {
        constexpr auto patience = std::chrono::milliseconds(300);
        for (uint32_t before = 0; !machine_->wait_until_done(0, patience);) {
            const uint32_t now = programs_begun();
            if (now == before)
                machine_->guest().stop(std::make_exception_ptr(GuestDied("a program goes on for ever")));
            before = now;
        }
        try {
            machine_->finish(0);
        } catch (const GuestDied&) {
        }
    }

    void run_programs(uint64_t seed) {
        boot_for_programs(seed);
        std::vector<std::vector<uint8_t>> programs(most_programs);
        std::ranges::generate(programs, [this] { return any_program(); });
        write_programs(programs);
        std::optional<Rewriter> rewriter;
        constexpr uint64_t all = most_programs * PROGRAM_STRIDE;
        if (below(3) == 0)
            rewriter.emplace(machine_->guest().own_memory(GPREMAP_PROGRAMS + page, all), all, seed);
        machine_->start(0, step(abi::Op::workload, GPREMAP_PROGRAMS));
        wait_for_programs();
        done_ += programs_begun();
        expect_accounts();
    }

    // One program, and another for ring 0 at its first exception.
    void run_in_ring0(uint64_t seed) {
        boot_for_programs(seed);
        const std::vector<uint8_t> program = any_program(), stubs = any_program();
        write(GPREMAP_PROGRAMS, program.data(), program.size());
        write(layout::stubs, stubs.data(), stubs.size());
        machine_->start(0, step(abi::Op::workload, GPREMAP_PROGRAMS));
        wait_for_programs();
        done_++;
        expect_accounts();
    }
};

TEST_F(HostilePrograms, EndInOrder) {
    const Footprint before = read_footprint();
    const uint64_t memory_before = own_memory();
    repeat([this](uint64_t seed) { below(8) ? run_programs(seed) : run_in_ring0(seed); });
    EXPECT_LE(read_footprint().descriptors, before.descriptors + 4);  // those that are opened once
    EXPECT_LE(own_memory(), memory_before + beside_the_limit);
}

// That they run, and each of them to its end, whatever that is.
TEST_F(HostilePrograms, AreRun) {
    boot_for_programs(0);
    constexpr uint32_t written = GPREMAP_PROGRAMS + 2 * mib;
    write_programs({
        {0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x04, 0xc3},        // incl written; ret
        {0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x04, 0xeb, 0xfe},  // incl written; for ever
        {0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x04, 0x0f, 0x0b},  // incl written; ud2
        {0x48, 0xb8, 0, 0, 0, 0x20, 1, 0, 0, 0, 0x89, 0x00},     // a store into a hole
        {0xb8, 0x01, 0x01, 0, 0, 0x48, 0xbf, 0, 0, 0,
         0,    1,    0,    0, 0, 0xbe, 0,    0, 2, 0,  // unmap of all there is
         0xe7, 0xe4, 0xc3},
        {0xff, 0x04, 0x25, 0x00, 0x00, 0x20, 0x04, 0xc3},
    });
    const Performed done = perform(step(abi::Op::workload, GPREMAP_PROGRAMS));
    EXPECT_EQ(done.report.outcome, abi::Outcome::ok);
    EXPECT_EQ(programs_begun(), 6u);
    uint32_t count = 0;
    ASSERT_TRUE(machine_->guest().read(written, &count, sizeof count));
    EXPECT_EQ(count, 4u);
    EXPECT_TRUE(machine_->remapper().map().empty());
}

}  // namespace
}  // namespace gpremap
