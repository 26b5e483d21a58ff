// Every layout of four granules against every native call with every combination of arguments that is
// different on five of them, and what comes of it against the oracle.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "tests/model/trial.h"

namespace oracle {
namespace {

namespace flag = remap::native::flag;
using remap::FreshMemory;
using remap::native::prot_previous;

constexpr uint64_t granule = 4096;
constexpr size_t laid_out = 4;
constexpr size_t slots = laid_out + 1;  // one that is free in every layout

// ---- layouts ----

// What a layout has at one granule. The order of the granules is the order of the calls that make them.
struct Cell {
    enum class What {
        vacant,
        fresh,     // continues the mapping below it
        separate,  // born elsewhere, so it never becomes one with the mapping below it
        read_only,
        alias,     // of granule `of`
        snapshot,  // of granule `of`
        written,   // a snapshot of granule `of` that has been written
        shared,    // with the attribute
        locked,
        pinned,
        sealed,
    };
    What what = What::vacant;
    size_t of = 0;
};
using Layout = std::vector<Cell>;
using What = Cell::What;

bool is_copy(What what) {
    return what == What::alias || what == What::snapshot || what == What::written;
}

std::string text(const Layout& layout) {
    std::string row;
    for (const Cell& cell : layout) {
        row += ".n|raSWslpx"[static_cast<size_t>(cell.what)];
        if (is_copy(cell.what)) row += std::to_string(cell.of);
    }
    return row;
}

// All layouts that begin with `prefix` and go on with cells of these kinds.
void complete(const Layout& prefix, const std::vector<What>& kinds, std::vector<Layout>& found) {
    if (prefix.size() == laid_out) {
        found.push_back(prefix);
        return;
    }
    auto with = [&](Cell cell) {
        Layout longer = prefix;
        longer.push_back(cell);
        complete(longer, kinds, found);
    };
    for (What what : kinds) {
        for (size_t of = 0; is_copy(what) && of < prefix.size(); ++of)
            if (prefix[of].what != What::vacant) with({what, of});
        bool continues = !prefix.empty() && prefix.back().what == What::fresh;
        if (what == What::separate ? continues : !is_copy(what)) with({what});
    }
}

std::vector<Layout> layouts_of(const std::vector<What>& kinds) {
    std::vector<Layout> found;
    complete({}, kinds, found);
    return found;
}

void lay_out(Trial& trial, const Cell& cell, size_t at) {
    if (cell.what == What::vacant) return;
    if (is_copy(cell.what)) {
        Kind kind = cell.what == What::alias ? Kind::alias : Kind::snapshot;
        trial.must(trial.with_addresses(kind, cell.of, at, 1));
        if (cell.what == What::written) trial.write(at, at + 1);
        return;
    }
    bool elsewhere = cell.what == What::separate;
    Call map = trial.with_addresses(Kind::map, elsewhere ? laid_out : at, 0, 1);
    if (cell.what == What::shared) map.flags = flag::shared;
    trial.must(map);
    if (elsewhere) trial.must(trial.with_addresses(Kind::move, laid_out, at, 1));
    trial.write(at, at + 1);
    Call protect = trial.with_addresses(Kind::protect, at, 0, 1);
    protect.prot = remap::readable.bits;
    if (cell.what == What::read_only) trial.must(protect);
    if (cell.what == What::locked) trial.must(trial.with_addresses(Kind::lock, at, 0, 1));
    if (cell.what == What::pinned) trial.must(trial.with_addresses(Kind::pin, at, 0, 1));
    if (cell.what == What::sealed) trial.must(trial.with_addresses(Kind::seal, at, 0, 1));
}

// ---- calls ----

class Calls {
  public:
    explicit Calls(uint64_t base) : base_(base) {
        add_maps();
        add_transfers();
        add_resizes();
        add_changes();
    }
    const std::vector<Call>& all() const { return calls_; }

  private:
    static constexpr size_t last_at = slots, last_len = slots + 1;
    static constexpr std::array<uint64_t, 6> policies = {
        0, flag::anywhere, flag::hint, flag::replace, flag::hint | flag::replace, uint64_t{1} << 40};

    template <class Visit>
    static void ranges(Visit&& visit) {
        for (uint64_t at = 0; at <= last_at; ++at)
            for (uint64_t len = 0; len <= last_len; ++len) visit(at, len);
    }

    Call& add(Kind kind, uint64_t at, uint64_t len) {
        return calls_.emplace_back(Call{kind, base_ + at * granule, 0, len * granule});
    }

    void add_maps() {
        ranges([&](uint64_t at, uint64_t len) {
            for (uint64_t policy : policies)
                for (uint64_t prot : {0u, 1u, 3u, 16u}) {
                    Call& call = add(Kind::map, at, len);
                    call.prot = prot;
                    call.flags = policy | (prot == 1 ? flag::shared : 0);
                }
        });
    }

    void add_transfers() {
        ranges([&](uint64_t at, uint64_t len) {
            for (uint64_t to = 0; to <= last_at; ++to) {
                Call& exchange = add(Kind::exchange, at, len);
                exchange.to = base_ + to * granule;
                for (uint64_t policy : policies) {
                    add_transfer(Kind::move, at, to, len, policy, 0);
                    add_transfer(Kind::move, at, to, len, policy | flag::keep_holes, 0);
                    for (uint64_t prot : {prot_previous, uint64_t{1}, uint64_t{3}, uint64_t{16}}) {
                        add_transfer(Kind::alias, at, to, len, policy, prot);
                        add_transfer(Kind::snapshot, at, to, len, policy, prot);
                    }
                }
            }
        });
    }

    void add_transfer(Kind kind, uint64_t at, uint64_t to, uint64_t len, uint64_t flags, uint64_t prot) {
        if (flags & flag::anywhere && to > 0) return;  // the place is not looked at
        Call& call = add(kind, at, len);
        call.to = base_ + to * granule;
        call.flags = flags;
        call.prot = prot;
    }

    void add_resizes() {
        ranges([&](uint64_t at, uint64_t len) {
            for (uint64_t new_len = 0; new_len <= last_len; ++new_len) {
                add(Kind::shrink, at, len).new_len = new_len * granule;
                for (uint64_t flags : {uint64_t{0}, flag::may_move, flag::replace}) {
                    Call& grow = add(Kind::grow, at, len);
                    grow.new_len = new_len * granule;
                    grow.flags = flags;
                }
            }
        });
    }

    void add_changes() {
        ranges([&](uint64_t at, uint64_t len) {
            for (Kind kind :
                 {Kind::unmap, Kind::release, Kind::lock, Kind::unlock, Kind::pin, Kind::unpin, Kind::seal})
                add(kind, at, len);
            for (uint64_t prot : {0u, 1u, 3u, 16u}) add(Kind::protect, at, len).prot = prot;
        });
    }

    uint64_t base_;
    std::vector<Call> calls_;
};

// ---- the test ----

struct World {
    std::string name;
    uint64_t base;
    FreshMemory fresh;
};
void PrintTo(const World& world, std::ostream* out) {
    *out << world.name;
}

class Exhaustive : public testing::TestWithParam<World> {
  protected:
    // Lays each layout out, calls check(trial, name of the layout), and stops where that failed often.
    template <class Check>
    void for_each_layout(const std::vector<What>& kinds, Check&& check) {
        auto layouts = layouts_of(kinds);
        for (const Layout& layout : layouts) {
            Trial made(GetParam().base, remap::Size{granule}, slots, GetParam().fresh);
            for (size_t at = 0; at < layout.size(); ++at) lay_out(made, layout[at], at);
            check(made, text(layout));
            if (failed_ >= 10) return;
        }
        std::printf("%zu layouts, %llu calls\n", layouts.size(), static_cast<unsigned long long>(checked_));
    }

    void check_all(const Trial& trial, const std::string& layout, std::optional<Kind> except = std::nullopt) {
        for (const Call& call : calls_.all()) {
            if (call.kind == except) continue;
            ++checked_;
            std::string found = trial.check(call);
            if (!found.empty()) report(layout, call, found);
            if (failed_ >= 10) return;
        }
    }

    // A limit on extents refuses what would go beyond it, unless the call leaves no more than there were.
    void check_extent_limit(const Trial& trial, uint64_t more, const std::string& layout) {
        remap::Space limited = trial.space();
        uint64_t before = limited.mapping_count();
        limited.set_limits({.mappings = before + more});
        for (const Call& call : calls_.all()) {
            ++checked_;
            auto free = plan(trial.space(), call), bound = plan(limited, call);
            bool fits = !free || free->after.mapping_count() <= before + more;
            bool refused_rightly = bound || !free || bound.error() == remap::Errno::enomem;
            if (bound.has_value() != (free && fits) || !refused_rightly)
                report(layout, call, "wrong under a limit of extents");
            if (failed_ >= 10) return;
        }
    }

    void report(const std::string& layout, const Call& call, const std::string& found) {
        ADD_FAILURE() << layout << "  " << text(call, GetParam().base, granule) << ": " << found;
        ++failed_;
    }

    Calls calls_{GetParam().base};
    uint64_t checked_ = 0;
    int failed_ = 0;
};

TEST_P(Exhaustive, EveryLayout) {
    for_each_layout({What::vacant, What::fresh, What::separate, What::read_only, What::alias, What::snapshot,
                     What::written},
                    [&](const Trial& trial, const std::string& layout) { check_all(trial, layout); });
}

TEST_P(Exhaustive, EveryAttribute) {
    for_each_layout({What::vacant, What::fresh, What::shared, What::locked, What::pinned, What::sealed},
                    [&](const Trial& trial, const std::string& layout) { check_all(trial, layout); });
}

// With room for no, or for one, granule more than is mapped or locked. No snapshots: of each
// page there may come to be three, and that is what they count.
TEST_P(Exhaustive, LimitsOfMemory) {
    for_each_layout({What::vacant, What::fresh, What::locked, What::alias},
                    [&](Trial trial, const std::string& layout) {
                        for (size_t more : {0u, 1u}) {
                            trial.limit_to_used(more, more);
                            check_all(trial, layout, Kind::snapshot);
                            trial.limit_to_used(SIZE_MAX, more);
                            check_all(trial, layout, Kind::snapshot);
                        }
                    });
}

TEST_P(Exhaustive, LimitOfExtents) {
    for_each_layout({What::vacant, What::fresh, What::separate, What::read_only, What::alias},
                    [&](const Trial& trial, const std::string& layout) {
                        check_extent_limit(trial, 0, layout);
                        check_extent_limit(trial, 1, layout);
                    });
}

INSTANTIATE_TEST_SUITE_P(Worlds, Exhaustive,
                         testing::Values(World{"anon", uint64_t{4} << 30, FreshMemory::anon},
                                         World{"object", uint64_t{4} << 30, FreshMemory::object},
                                         World{"top", uint64_t{0} - (slots + 1) * granule,
                                               FreshMemory::anon}),
                         [](const testing::TestParamInfo<World>& world) { return world.param.name; });

}  // namespace
}  // namespace oracle
