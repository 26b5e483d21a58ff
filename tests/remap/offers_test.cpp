// Freed pages that are kept, zeroed and offered again: whoever calls sees no difference.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "remap/coalesce.h"
#include "remap/model_memory.h"
#include "remap/native.h"

namespace remap {
namespace {

constexpr uint64_t base = uint64_t{4} << 30;
constexpr uint64_t granules = 64;
constexpr Size unit = mib2;

// A space and its memory, which are changed by plans, and what keeps freed pages, if there is one.
class World {
  public:
    enum class Keeps { nothing, freed_pages };
    explicit World(Keeps keeps)
        : keeps_(keeps),
          space_(Range::of(Gpa{base}, Size{granules * unit.bytes}), unit, FreshMemory::object, {}),
          memory_(unit) {}

    // The result, or minus an errno.
    template <class Call>
    int64_t make(Call call) {
        if (keeps_ == Keeps::freed_pages) space_.offer({kept_, unit, Size{1 << 30}});
        Answer answer = call(space_);
        if (!answer) return -static_cast<int64_t>(answer.error());
        for (const Change& change : coalesced(answer->changes)) {
            if (const auto* map = std::get_if<change::Map>(&change)) take(*map);
            memory_.apply(change);
            const auto* free = std::get_if<change::Free>(&change);
            if (free && free->are == change::Free::Pages::unmapped) kept_.push_back(free->pages);
        }
        space_ = answer->after;
        return static_cast<int64_t>(answer->result.value);
    }

    const Space& space() const { return space_; }
    ModelMemory& memory() { return memory_; }
    uint64_t taken() const { return taken_; }

  private:
    void take(const change::Map& map) {
        const ObjectRange pages = ObjectRange::of(map.memory.offset, map.range.size());
        std::vector<ObjectRange> left;
        for (const ObjectRange& kept : kept_) {
            const auto gone = kept.intersection(pages);
            if (gone) taken_ += gone->size().bytes / unit.bytes;
            if (!gone) left.push_back(kept);
            if (gone && kept.start() < gone->start())
                left.push_back(ObjectRange::between(kept.start(), gone->start()));
            if (gone && gone->end() < kept.end())
                left.push_back(ObjectRange::between(gone->end(), kept.end()));
        }
        kept_ = left;
    }

    Keeps keeps_;
    Space space_;
    ModelMemory memory_;
    std::vector<ObjectRange> kept_;
    uint64_t taken_ = 0;  // units
};

class OffersTest : public testing::Test {
  protected:
    uint64_t any(uint64_t below) { return random_() % below; }
    uint64_t some_place() { return base + any(granules - 12) * unit.bytes; }

    template <class Call>
    void make(Call call) {
        ASSERT_EQ(plain_.make(call), keeping_.make(call));
    }
    void make_any() {
        const uint64_t a = some_place(), b = some_place(), size = (1 + any(6)) * unit.bytes,
                       other = (1 + any(9)) * unit.bytes;
        const uint64_t flags = any(3) == 0 ? native::flag::replace : 0;
        switch (any(9)) {
            case 0:
            case 1:
                return make([=](const Space& s) { return native::map(s, a, size, 3, flags); });
            case 2:
                return make([=](const Space& s) { return native::unmap(s, a, size); });
            case 3:
                return make([=](const Space& s) { return native::move(s, a, b, size, flags); });
            case 4:
                return make([=](const Space& s) {
                    return native::grow(s, a, size, std::max(size, other), native::flag::may_move);
                });
            case 5:
                return make(
                    [=](const Space& s) { return native::shrink(s, a, size, std::min(size, other)); });
            case 6:
                return make([=](const Space& s) {
                    return native::alias(s, a, b, size, native::prot_previous, flags);
                });
            case 7:
                return make([=](const Space& s) { return native::release(s, a, size); });
            default:
                return make([=](const Space& s) {
                    return native::snapshot(s, a, b, size, native::prot_previous, flags);
                });
        }
    }
    // Writes to one mapped granule in both.
    void write_somewhere() {
        const Gpa at{some_place()};
        if (!plain_.memory().find(at)) return;
        const uint64_t value = 1 + any(1000);
        plain_.memory().write(at, value);
        keeping_.memory().write(at, value);
    }
    void expect_equal() {
        for (uint64_t i = 0; i < granules; i++) {
            const Gpa at{base + i * unit.bytes};
            ASSERT_EQ(plain_.memory().read(at), keeping_.memory().read(at)) << "granule " << i;
        }
        auto seen = [](const Space& space) {
            std::vector<Extent> mappings = space.mappings_in(space.aperture());
            for (Extent& mapping : mappings) mapping.memory = {};
            return mappings;
        };
        ASSERT_EQ(seen(plain_.space()), seen(keeping_.space()));
        ASSERT_EQ(plain_.space().mapping_count(), keeping_.space().mapping_count());
    }

    std::mt19937_64 random_{7};
    World plain_{World::Keeps::nothing}, keeping_{World::Keeps::freed_pages};
};

TEST_F(OffersTest, AreSeenByNobody) {
    for (int turn = 0; turn < 20000; turn++) {
        make_any();
        write_somewhere();
        if (turn % 10 == 0) expect_equal();
        ASSERT_FALSE(HasFatalFailure()) << "turn " << turn;
    }
    EXPECT_GT(keeping_.taken(), 1000u);
    EXPECT_EQ(plain_.taken(), 0u);
}

// Whose pages nobody else sees: it gets others, and these are kept. What an alias shows stays.
TEST_F(OffersTest, AReleaseFreesPagesThatNobodyElseSees) {
    auto release = [](const Space& s) { return native::release(s, base, 2 * unit.bytes); };
    make([](const Space& s) { return native::map(s, base, 4 * unit.bytes, 3, 0); });
    make(release);
    make([](const Space& s) { return native::map(s, base + 8 * unit.bytes, 2 * unit.bytes, 3, 0); });
    EXPECT_EQ(keeping_.taken(), 2u);
    make([](const Space& s) {
        return native::alias(s, base, base + 16 * unit.bytes, 2 * unit.bytes, native::prot_previous, 0);
    });
    make(release);
    make([](const Space& s) { return native::map(s, base + 20 * unit.bytes, 2 * unit.bytes, 3, 0); });
    EXPECT_EQ(keeping_.taken(), 2u);
    expect_equal();
}

// A guest near its limit gets memory in one extent.
TEST_F(OffersTest, CutNothingWhereExtentsAreFew) {
    Space space(Range::of(Gpa{base}, Size{granules * unit.bytes}), unit, FreshMemory::object, {});
    space.set_limits({.extents = 16});
    space.offer({{ObjectRange::of(Offset{0}, unit)}, unit, Size{0}});
    EXPECT_EQ(space.allocate_ready(Range::of(Gpa{base}, Size{4 * unit.bytes})).size(), 1u);
    space.set_limits({.extents = 100});
    EXPECT_EQ(space.allocate_ready(Range::of(Gpa{base}, Size{4 * unit.bytes})).size(), 2u);
}

}  // namespace
}  // namespace remap
