// The ranges of a rig that benches move and resize.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

#include "vmm/bench/rig.h"

namespace gpremap {

// A touched range that moves there and back. Between moves every page is read, so that KVM has it mapped.
class MovingRange {
  public:
    MovingRange(Rig& rig, uint64_t size) : rig_(rig), size_(size), shuttle_(Rig::place(0), Rig::place(1)) {
        rig_.map(at(), size_);
        rig_.write(at(), size_);
    }

    uint64_t at() const { return shuttle_.here(); }
    Performed read() { return rig_.read(at(), size_); }
    Performed move() {
        Performed done = rig_.move(shuttle_.here(), shuttle_.there(), size_);
        shuttle_.arrive();
        return done;
    }

  private:
    Rig& rig_;
    uint64_t size_;
    Shuttle shuttle_;
};

// A range that grows by `size` and shrinks again, and keeps a page as large as any that the host gives.
class BreathingRange {
  public:
    BreathingRange(Rig& rig, const BenchSetting& setting)
        : rig_(rig), kept_(kept(setting)), size_(setting.size), pool_(setting.pool) {
        rig_.map(at, kept_);
    }
    static uint64_t kept(const BenchSetting& setting) {
        return std::max<uint64_t>(2ull << 20, setting.granule);
    }

    // Returns the guest's ns for the call and for the first touch of every new page.
    uint64_t grow() {
        uint64_t ns = rig_.call(abi::Call::grow, {at, kept_, kept_ + size_, 0}).guest_ns;
        return ns + rig_.write(at + kept_, size_).guest_ns;
    }
    Performed shrink() { return rig_.call(abi::Call::shrink, {at, kept_ + size_, kept_}); }
    // Until the warm pool, if there is one, has as much as the range will take.
    void wait_for_pool() {
        while (rig_.machine().remapper().pool().ready < pool_)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

  private:
    static constexpr uint64_t at = Rig::place(0);
    Rig& rig_;
    uint64_t kept_;
    uint64_t size_;
    uint64_t pool_;
};

// The warm pool has as much as the measured range will take.
inline BenchSetting with_pool(BenchSetting setting) {
    setting.pool = setting.size;
    return setting;
}

// From exit to entry.
inline uint64_t call_ns(const Performed& done) {
    if (!done.call) throw std::logic_error("a remapping call without a record");
    return done.call->call_ns;
}

}  // namespace gpremap
