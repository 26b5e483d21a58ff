#include "vmm/bench/snapshots.h"

#include "vmm/bench/neighbour.h"
#include "vmm/bench/rig.h"

namespace gpremap {
namespace {

constexpr uint64_t source = Rig::place(0), first = Rig::place(1), second = Rig::place(2);

BenchSetting copying(BenchSetting setting, SnapshotCopies when) {
    setting.snapshots = when;
    return setting;
}

// With one snapshot that stays, so that what was written has to be copied for the next.
class SnapshottedRange {
  public:
    explicit SnapshottedRange(const BenchSetting& setting)
        : rig_(setting, 8 * setting.size), size_(setting.size) {
        rig_.map(source, size_);
        rig_.write(source, size_);
        snapshot(first);
        snapshot(second);
    }

    Rig& rig() { return rig_; }
    // All of it is written, and the snapshot before is dropped.
    void prepare() {
        rig_.call(abi::Call::unmap, {second, size_});
        rig_.write(source, size_);
    }
    Performed snapshot(uint64_t at = second) {
        return rig_.call(abi::Call::snapshot, {source, at, size_, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, 0});
    }

  private:
    Rig rig_;
    uint64_t size_;
};

}  // namespace

BenchSamples bench_snapshot(const BenchSetting& setting) {
    SnapshottedRange later(copying(setting, SnapshotCopies::later));
    SnapshottedRange at_once(copying(setting, SnapshotCopies::at_once));
    auto call = [](SnapshottedRange& range) {
        range.prepare();
        return range.snapshot().guest_ns;
    };
    return take_turns(
        setting.runs, [&] { return call(later); }, [&] { return call(at_once); });
}

BenchSamples bench_snapshot_gap(const BenchSetting& setting) {
    SnapshottedRange later(copying(setting, SnapshotCopies::later));
    SnapshottedRange at_once(copying(setting, SnapshotCopies::at_once));
    auto gap = [&](SnapshottedRange& range) {
        range.prepare();
        Neighbour neighbour(range.rig(), abi::FaultKind::write, {source, source}, setting.size);
        return neighbour.longest_gap([&] { range.snapshot(); });
    };
    return take_turns(
        setting.runs, [&] { return gap(later); }, [&] { return gap(at_once); });
}

}  // namespace gpremap
