// A guest that is against its VMM. Whatever it does, it gets an answer or dies, and the host loses no more to it than its scenario says.
//
//     HOSTILE_SECONDS=3600 HOSTILE_SEED=1 hostile_test      each test for an hour (5 s), from that seed
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "tests/vmm/kvm_test.h"
#include "vmm/calls/catalogue.h"
#include "vmm/guests/agent/world.h"
#include "vmm/host/footprint.h"

namespace gpremap {

inline constexpr uint64_t aperture = 2 * gib, limit = 64 * mib, pool = 8 * mib;
// What this program itself, its threads and the kernel's tables for the aperture take beside what is mapped: bytes.
inline constexpr uint64_t beside_the_limit = 96 * mib;
// Where batches lie: the end of what host and guest share, which no step of the agent uses.
inline constexpr uint64_t batch_at = layout::shared + layout::shared_size / 2;
inline constexpr uint64_t batch_size = layout::shared_size / 4, undisturbed_batch_at = batch_at + batch_size;
static_assert(batch_size >= GPREMAP_MAX_BATCH * sizeof(abi::BatchCall));

inline uint64_t stated(const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text ? std::strtoull(text, nullptr, 0) : otherwise;
}

// Bytes: anonymous memory of this process, and the tables that map all of its memory.
inline uint64_t own_memory() {
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

using Clock = std::chrono::steady_clock;

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

    // Without hugetlb, which all hosts have not. Returns whether its calls go through rings.
    bool boot_guest(uint64_t seed, unsigned vcpus) {
        MachineConfig config = config_of(variants[seed % 4], vcpus, aperture);
        config.memory.limit = limit;
        config.memory.pool = below(2) ? pool : 0;
        config.ring = below(2);
        boot(config);
        held_ = {read_footprint().descriptors, own_memory()};
        return config.ring;
    }

    uint64_t any_call_number() {
        const std::span rows = catalogue();
        return below(16) ? static_cast<uint64_t>(rows[below(rows.size())].number) : random_();
    }

    // Against what was held when it had booted.
    void expect_accounts() {
        uint64_t end = base;
        for (const MapEntry& entry : machine_->remapper().map()) {
            EXPECT_GE(entry.at, end);
            EXPECT_LE(entry.size, base + aperture - entry.at);
            end = entry.at + entry.size;
        }
        EXPECT_LE(machine_->remapper().resident_bytes(), limit);
        EXPECT_LE(own_memory(), held_.memory + limit + pool + beside_the_limit);
        EXPECT_EQ(read_footprint().descriptors, held_.descriptors);
    }

    std::mt19937_64 random_;
    uint64_t done_ = 0;  // what is counted

  private:
    struct Held {
        uint64_t descriptors, memory;  // bytes
    };
    Held held_ = {};
};

}  // namespace gpremap
