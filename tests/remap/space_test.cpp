// The books of a space: what becomes one extent again, and how extents are counted.
#include "remap/space.h"

#include <gtest/gtest.h>

#include <random>

#include "remap/linux.h"
#include "remap/native.h"

namespace remap {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t base = uint64_t{4} << 30;

class SpaceTest : public testing::TestWithParam<FreshMemory> {
  protected:
    SpaceTest() : space_(Range::of(Gpa{base}, Size{1 << 16 << 12}), kib4, GetParam(), {}) {}

    uint64_t at(uint64_t index) const { return base + index * page; }
    void done(const Answer& answer) {
        ASSERT_TRUE(answer) << name_of(answer.error());
        space_ = answer->after;
    }
    void map(uint64_t index, uint64_t count, uint64_t flags = 0) {
        done(native::map(space_, at(index), count * page, 3, flags));
    }
    std::vector<Extent> all() const { return space_.extents_in(space_.aperture()); }

    // Counted anew: neighbours that nothing tells apart are one.
    uint64_t count_mappings() const {
        uint64_t count = 0;
        std::optional<Extent> last;
        for (const Extent& extent : all()) {
            count += !last || !continues(*last, extent);
            last = extent;
        }
        return count;
    }

    Space space_;
};

INSTANTIATE_TEST_SUITE_P(Fresh, SpaceTest, testing::Values(FreshMemory::anon, FreshMemory::object),
                         [](const auto& of) { return of.param == FreshMemory::anon ? "anon" : "object"; });

//   aaaaaaaa   aa......   aa--aaaa and back
TEST_P(SpaceTest, AMoveAwayAndBackLeavesItAsItWas) {
    map(0, 8);
    auto before = all();
    for (uint64_t from = 0; from < 8; ++from)
        for (uint64_t count = 1; from + count <= 8; ++count) {
            done(native::move(space_, at(from), at(20), count * page, 0));
            done(native::move(space_, at(20), at(from), count * page, 0));
            ASSERT_EQ(all(), before) << from << " " << count;
        }
    EXPECT_EQ(space_.mapping_count(), 1u);
}

TEST_P(SpaceTest, AGrowAndAShrinkLeaveItAsItWas) {
    map(0, 4);
    auto before = all();
    done(native::grow(space_, at(0), 4 * page, 9 * page, 0));
    EXPECT_EQ(space_.mapping_count(), 1u);
    done(native::shrink(space_, at(0), 9 * page, 4 * page));
    EXPECT_EQ(all(), before);
}

TEST_P(SpaceTest, AProtectAndBackLeavesItAsItWas) {
    map(0, 8);
    auto before = all();
    for (uint64_t from = 0; from < 8; ++from) {
        done(native::protect(space_, at(from), page, 1));
        EXPECT_EQ(space_.mapping_count(), from == 0 || from == 7 ? 2u : 3u);
        done(native::protect(space_, at(from), page, 3));
        ASSERT_EQ(all(), before);
    }
}

TEST_P(SpaceTest, AnExchangeTwiceLeavesItAsItWas) {
    map(0, 4);
    map(10, 4, native::flag::shared);
    auto before = all();
    for (int turn = 0; turn < 2; ++turn) done(native::exchange(space_, at(1), at(11), 2 * page));
    EXPECT_EQ(all(), before);
}

// A range that grew may have its memory in two pieces of the object; a caller sees one extent.
TEST_P(SpaceTest, SeamsAreNotCounted) {
    map(0, 2);
    map(30, 1);  // so that the object's next offsets are not the ones behind
    done(native::grow(space_, at(0), 2 * page, 5 * page, 0));
    EXPECT_EQ(space_.mapping_count(), 2u);
    EXPECT_EQ(space_.mapping_of(Gpa{at(4)}), Range::of(Gpa{at(0)}, Size{5 * page}));
    EXPECT_EQ(all().size(), GetParam() == FreshMemory::object ? 3u : 2u);
}

TEST_P(SpaceTest, CountsAndAccountsAgreeWithCountingAnew) {
    std::mt19937_64 random(1);
    auto range = [&] { return at(random() % 60); };
    for (int turn = 0; turn < 20000; ++turn) {
        uint64_t from = range(), to = range(), len = (1 + random() % 8) * page;
        Answer answer = fails(Errno::einval);
        switch (random() % 8) {
            case 0:
                answer = native::map(space_, from, len, 3, 0);
                break;
            case 1:
                answer = native::unmap(space_, from, len);
                break;
            case 2:
                answer = native::move(space_, from, to, len, native::flag::replace);
                break;
            case 3:
                answer = native::grow(space_, from, len, len + 2 * page, native::flag::may_move);
                break;
            case 4:
                answer = native::alias(space_, from, to, len, native::prot_previous, native::flag::replace);
                break;
            case 5:
                answer = native::protect(space_, from, len, random() % 2 ? 1 : 3);
                break;
            case 6:
                answer = native::snapshot(space_, from, to, len, native::prot_previous, 0);
                break;
            case 7:
                answer = native::set_attribute(space_, from, len, native::Which::locked,
                                               random() % 2 ? native::Value::on : native::Value::off);
                break;
        }
        if (!answer) continue;
        space_ = answer->after;
        ASSERT_EQ(space_.mapping_count(), count_mappings());
        uint64_t locked = 0, own = 0;
        for (const Extent& extent : all()) {
            locked += extent.attributes.locked ? extent.range.size().bytes : 0;
            own += extent.memory.kind != MemoryKind::object ? extent.range.size().bytes : 0;
        }
        ASSERT_EQ(space_.locked().bytes, locked);
        ASSERT_EQ(space_.memory_used().bytes, own + space_.store().used().bytes);
    }
}

}  // namespace
}  // namespace remap
