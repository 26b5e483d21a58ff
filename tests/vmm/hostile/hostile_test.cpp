// A guest that is against its VMM: any call with any arguments, batches and rings that somebody else rewrites while they
// are read, and programs of random and of odd instructions, in ring 3 and in ring 0, that are rewritten while they run.
// Whatever it does, it gets an answer or dies, and the host loses no more to it than its scenario says.
//
//     HOSTILE_SECONDS=3600 HOSTILE_SEED=1 hostile_test      each of the two for an hour (5 s), from that seed
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "guest/abi/ring.h"
#include "guest/abi/workload.h"
#include "tests/vmm/kvm_test.h"
#include "vmm/base/deadline.h"
#include "vmm/calls/catalogue.h"
#include "vmm/guests/agent/world.h"
#include "vmm/host/footprint.h"
#include "vmm/kvm/vm.h"

namespace gpremap {
namespace {

using abi::Call;
using Clock = std::chrono::steady_clock;

constexpr uint64_t aperture = 2 * gib, limit = 64 * mib, pool = 8 * mib;
// What this program itself, its threads and the kernel's tables for the aperture take beside what is mapped: bytes.
constexpr uint64_t beside_the_limit = 96 * mib;
// Where batches lie: the end of what host and guest share, which no step of the agent uses.
constexpr uint64_t batch_at = layout::shared + layout::shared_size / 2;
constexpr uint64_t batch_size = layout::shared_size / 2;

uint64_t stated(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

// Bytes: anonymous memory of this process, and the tables that map all of its memory.
uint64_t own_memory() {
    uint64_t kib_of_all = 0;
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
        if (uint64_t size = 0; (word == "RssAnon:" || word == "VmPTE:") && status >> size) kib_of_all += size;
    return kib_of_all * kib;
}

// A thread that is another vCPU's write access to this one's memory: it changes a word of it, again and again.
class Rewriter {
  public:
    Rewriter(std::byte* memory, uint64_t size, uint64_t seed)
        : thread_([=](const std::stop_token& stop) {
              std::mt19937_64 random(seed);
              const std::span words(reinterpret_cast<uint64_t*>(memory), size / sizeof(uint64_t));
              while (!stop.stop_requested()) {
                  uint64_t& word = words[random() % words.size()];
                  const uint64_t value = random() % 4 ? word ^ (1ull << random() % 64) : random();
                  __atomic_store_n(&word, value, __ATOMIC_RELAXED);
                  std::this_thread::sleep_for(std::chrono::microseconds(random() % 20));
              }
          }) {}

  private:
    std::jthread thread_;
};

class Hostile : public KvmTest {
  protected:
    // Does `round` with a seed of its own each time, until the time is over.
    template <class Round>
    void repeat(Round round) {
        const auto end = Clock::now() + std::chrono::seconds(stated("HOSTILE_SECONDS", 5));
        uint64_t seed = stated("HOSTILE_SEED", std::random_device()()), rounds = 0;
        std::cout << "from seed " << seed << std::endl;
        do {
            SCOPED_TRACE("HOSTILE_SEED=" + std::to_string(seed));
            random_.seed(seed);
            round(seed++);
            rounds++;
        } while (!HasFailure() && Clock::now() < end);
        machine_.reset();
        std::cout << rounds << " rounds, " << done_ << " done" << std::endl;
        EXPECT_GT(done_, 0u);
    }

    uint64_t below(uint64_t end) { return random_() % end; }

    uint64_t number() {
        const uint64_t edges[] = {0,
                                  1,
                                  page - 1,
                                  page,
                                  large,
                                  gib,
                                  base - page,
                                  base,
                                  base + 1,
                                  base + aperture - page,
                                  base + aperture,
                                  1ull << 47,
                                  1ull << 63,
                                  ~0ull,
                                  ~0ull - page + 1,
                                  batch_at,
                                  abi::rings};
        switch (below(8)) {
            case 0:
                return edges[below(std::size(edges))];
            case 1:
                return random_();
            case 2:
                return below(64);  // flags, rights
            case 3:
                return (1 + below(3)) * large;
            case 4:
                return (1 + below(16)) * page;
            case 5:
                return base + below(aperture / large) * large;
            default:
                return base + below(64) * page;
        }
    }

    abi::BatchCall any_call() {
        const std::span rows = catalogue();
        abi::BatchCall call = {};
        call.number = below(16) ? static_cast<uint64_t>(rows[below(rows.size())].number) : random_();
        for (uint64_t& argument : call.arg) argument = number();
        if (call.number == static_cast<uint64_t>(Call::batch) && below(4)) {
            call.arg[0] = batch_at;
            call.arg[1] = 1 + below(32);
        }
        return call;
    }

    void write_batch() {
        std::vector<abi::BatchCall> calls(32);
        std::ranges::generate(calls, [this] { return any_call(); });
        ASSERT_TRUE(machine_->guest().write(batch_at, calls.data(), calls.size() * sizeof calls[0]));
    }

    // Has the guest fill in what is mapped somewhere.
    void touch_something(const std::vector<MapEntry>& map) {
        if (map.empty()) return;
        const MapEntry& entry = map[below(map.size())];
        perform(step(abi::Op::touch, entry.at, std::min(entry.size, 4 * large), below(2), page));
    }

    void expect_accounts(const std::vector<MapEntry>& map, const Footprint& before, uint64_t memory_before) {
        uint64_t end = base;
        for (const MapEntry& entry : map) {
            EXPECT_GE(entry.at, end);
            EXPECT_LE(entry.size, base + aperture - entry.at);
            end = entry.at + entry.size;
        }
        EXPECT_LE(machine_->remapper().resident_bytes(), limit);
        EXPECT_LE(own_memory(), memory_before + limit + pool + beside_the_limit);
        EXPECT_EQ(read_footprint().descriptors, before.descriptors);
    }

    // A machine of its own, and so many calls.
    void make_calls(uint64_t seed) {
        MachineConfig config =
            config_of(variants[seed % 4], 2, aperture);  // without hugetlb, which all hosts have not
        config.memory.limit = limit;
        config.memory.pool = below(2) ? pool : 0;
        config.ring = below(2);
        boot(config);
        const Footprint before = read_footprint();
        const uint64_t memory_before = own_memory();
        Rewriter of_batch(machine_->guest().own_memory(batch_at, batch_size), batch_size, seed);
        std::optional<Rewriter> of_ring;
        if (config.ring && below(2)) {
            perform(call(Call::unmap, base, page), 1);  // the first call that goes through it sets it up
            of_ring.emplace(machine_->guest().own_memory(abi::rings + abi::ring_stride, sizeof(gpremap_ring)),
                            sizeof(gpremap_ring), ~seed);
        }
        for (int burst = 0; burst < 10; burst++) {
            for (int i = 0; i < 50; i++, done_++) {
                if (below(8) == 0) write_batch();
                const abi::BatchCall call = any_call();
                machine_->call(static_cast<Call>(call.number), std::to_array(call.arg));
            }
            touch_something(machine_->remapper().map());
        }
        if (!of_ring) {
            const int64_t found = machine_->call(Call::query, {base, aperture, batch_at, 0}).result;
            EXPECT_EQ(found, static_cast<int64_t>(machine_->remapper().map().size()));
        }
        expect_accounts(machine_->remapper().map(), before, memory_before);
    }

    // Odd instructions and random bytes, in some order.
    std::vector<uint8_t> any_program() {
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
            {0xe6, 0xe4},        // the same port, a byte
            {0xe5, 0xe4},        // in
            {0xef},              // out %eax, %dx
            {0xec},              // in %dx, %al
            {0xf3, 0x6e},        // rep outsb
            {0xf3, 0x6d},        // rep insl
            {0x48, 0xb8, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0x89, 0x00},                 // a store to what nobody has
            {0x48, 0xb8, 0, 0, 0, 0, 1, 0, 0, 0, 0xf0, 0x48, 0x0f, 0xc7, 0x08},  // cmpxchg16b there
            {0x0f, 0x01, 0x1c, 0x24},  // lidt (%rsp): the next fault is a triple one
            {0x0f, 0x22, 0xd8},        // mov %rax, %cr3
            {0x0f, 0xae, 0x38},        // clflush
            {0x0f, 0x0d, 0x08},        // prefetchw
            {0xeb, 0xfe},              // for ever
        };
        std::vector<uint8_t> program;
        for (uint64_t parts = 1 + below(12); parts > 0; parts--) {
            if (below(3) == 0) {
                for (uint64_t bytes = 1 + below(16); bytes > 0; bytes--)
                    program.push_back(static_cast<uint8_t>(random_()));
            } else if (below(3) == 0) {  // a register, most often an argument of a call
                program.insert(program.end(), {0x48, static_cast<uint8_t>(0xb8 + below(8))});
                const uint64_t value = below(2) ? number() : static_cast<uint64_t>(any_call().number);
                for (int i = 0; i < 8; i++) program.push_back(static_cast<uint8_t>(value >> 8 * i));
            } else {
                const auto& some = odd[below(odd.size())];
                program.insert(program.end(), some.begin(), some.end());
            }
        }
        program.push_back(0xc3);  // ret
        return program;
    }

    void write(uint64_t at, const std::vector<uint8_t>& program) {
        std::byte* memory = machine_->guest().own_memory(at, program.size());
        ASSERT_TRUE(memory);
        std::memcpy(memory, program.data(), program.size());
    }

    // Ends well, with the guest's death, or with its deadline; by nothing else.
    void run_program(uint64_t seed) {
        MachineConfig config = config_of(variants[seed % 4], 1, aperture);
        config.memory.limit = limit;
        config.ring = below(2);
        boot(config);
        const std::vector<uint8_t> program = any_program();
        write(GPREMAP_PROGRAMS, program);
        if (below(3) == 0) write(layout::stubs, any_program());  // for ring 0, at the first fault
        std::optional<Rewriter> rewriter;
        if (below(3) == 0) rewriter.emplace(machine_->guest().own_memory(GPREMAP_PROGRAMS, 64), 64, seed);
        constexpr double longest = 0.3;  // s
        const Deadline deadline(longest, "the program goes on for ever",
                                [this](std::exception_ptr cause) { machine_->guest().stop(cause); });
        try {
            perform(step(abi::Op::workload, GPREMAP_PROGRAMS));
        } catch (const GuestDied&) {
        }
        done_++;
    }

    std::mt19937_64 random_;
    uint64_t done_ = 0;
};

TEST_F(Hostile, Calls) {
    repeat([this](uint64_t seed) { make_calls(seed); });
}

TEST_F(Hostile, Programs) {
    const Footprint before = read_footprint();
    const uint64_t memory_before = own_memory();
    repeat([this](uint64_t seed) { run_program(seed); });
    EXPECT_LE(read_footprint().descriptors, before.descriptors + 4);  // those that are opened once
    EXPECT_LE(own_memory(), memory_before + beside_the_limit);
}

}  // namespace
}  // namespace gpremap
