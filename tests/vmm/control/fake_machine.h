// In place of a run's machine: a space that calls change, and that nothing stands behind.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "remap/space.h"
#include "vmm/calls/batch.h"
#include "vmm/calls/catalogue.h"
#include "vmm/control/protocol.h"
#include "vmm/control/target.h"

namespace gpremap {

class FakeMachine {
  public:
    static constexpr uint64_t granule = 4096, base = 4ull << 30, size = 64ull << 30;

    Called call(CallerMemory& memory, abi::Call number, const std::array<uint64_t, 6>& args) {
        const std::lock_guard lock(mutex_);
        std::vector<abi::BatchCall> batch(number == abi::Call::batch ? args[1] : 0);
        const size_t bytes = batch.size() * sizeof(abi::BatchCall);
        if (bytes > 0 && !memory.read(args[0], batch.data(), bytes)) return {-EFAULT, {}};
        const remap::Answer answer =
            batch.empty() ? plan_call(space_, number, args) : plan_batch(space_, batch);
        if (!answer) return {-static_cast<int64_t>(answer.error()), {}};
        space_ = answer->after;
        if (bytes > 0 && !memory.write(args[0], batch.data(), bytes)) return {-EFAULT, {}};
        return {batch.empty() ? static_cast<int64_t>(answer->result.value) : 0, {}};
    }

    Performed perform(const abi::Step& step) {
        if (before_step) before_step();
        std::array<uint64_t, 6> args{};
        std::copy_n(step.arg + 1, 6, args.begin());
        struct None : CallerMemory {
            bool read(uint64_t, void*, size_t) const override { return false; }
            bool write(uint64_t, const void*, size_t) override { return false; }
        } none;
        const Called called = call(none, static_cast<abi::Call>(step.arg[0]), args);
        Performed done = {};
        done.report.result = called.result;
        done.call = called.record;
        return done;
    }

    std::vector<MapEntry> map() {
        const std::lock_guard lock(mutex_);
        std::vector<MapEntry> entries;
        for (const remap::Extent& extent : space_.mappings_in(space_.aperture())) {
            MapEntry& entry = entries.emplace_back();
            entry.at = extent.range.start().value;
            entry.size = extent.range.size().bytes;
            entry.prot = extent.prot.bits;
            entry.backing = Backing::anon;
        }
        return entries;
    }

    ControlTarget target() {
        ControlTarget target;
        target.let_call(
            HostCaller([this](CallerMemory& memory, abi::Call number, const std::array<uint64_t, 6>& args) {
                if (before_call) before_call();
                return call(memory, number, args);
            }));
        target.perform = [this](unsigned, const abi::Step& step) { return perform(step); };
        target.vcpu = 0;
        target.map = [this] { return map(); };
        target.stats = [] { return JsonObject::object(); };
        target.start_workload = [](const std::string&) { return "it runs already"; };
        target.stop_workload = [](const std::string&) { return ""; };
        target.pause = [this] { paused++; };
        target.resume = [this] { paused--; };
        target.checkpoint = [](const std::string& file) -> std::string {
            throw CallError(ErrorCode::not_written, file + ": no");
        };
        target.stop = [this] { is_interrupted = true; };
        target.is_interrupted = [this] { return is_interrupted.load(); };
        target.granule = granule;
        return target;
    }

    std::function<void()> before_call, before_step;
    std::atomic<int> paused = 0;
    std::atomic<bool> is_interrupted = false;

  private:
    std::mutex mutex_;
    remap::Space space_{remap::Range::of(remap::Gpa{base}, remap::Size{size}),
                        remap::Size{granule},
                        remap::FreshMemory::anon,
                        {remap::Size{1ull << 30}, remap::Size{1ull << 30}, 10000, 10000}};
};

}  // namespace gpremap
