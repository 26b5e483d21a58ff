#include "vmm/calls/catalogue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "vmm/calls/batch.h"

namespace gpremap {
namespace {

using abi::Call;
using Args = std::vector<uint64_t>;

TEST(Catalogue, FindsByNumberAndByVerb) {
    for (const CallRow& row : catalogue()) {
        EXPECT_EQ(find_call(row.number), &row) << row.verb;
        EXPECT_EQ(find_call(row.verb), &row) << row.verb;
    }
    EXPECT_EQ(find_call(Call::batch), nullptr);
    EXPECT_EQ(find_call(Call::hello), nullptr);
    EXPECT_EQ(find_call("batch"), nullptr);
}

TEST(Catalogue, HasOneOfEachRoleAndKey) {
    for (const CallRow& row : catalogue()) {
        std::array<int, 5> of_role{};
        for (const Parameter& parameter : row.parameters) {
            of_role[static_cast<size_t>(parameter.role)]++;
            const bool has_label = std::ranges::find(parameter.keys, parameter.label) != parameter.keys.end();
            EXPECT_TRUE(parameter.keys.empty() || has_label) << row.verb << " " << parameter.label;
        }
        for (size_t role = 1; role < of_role.size(); role++) EXPECT_LE(of_role[role], 1) << row.verb;
        EXPECT_LE(row.parameters.size(), std::tuple_size_v<RawArguments>) << row.verb;
        // What takes effect on names needs to know where.
        EXPECT_TRUE(row.effect == Effect::none || row.find(Parameter::Role::source) ||
                    row.find(Parameter::Role::new_size))
            << row.verb;
        EXPECT_TRUE(row.effect != Effect::relocates || row.returns_address ||
                    row.find(Parameter::Role::destination))
            << row.verb;
    }
}

TEST(Catalogue, PlansWhatHasAPlannerAndNothingElse) {
    const remap::Space space(remap::Range::of(remap::Gpa{1 << 20}, remap::Size{1 << 20}), remap::Size{4096},
                             remap::FreshMemory::anon, {remap::Size{1 << 20}, remap::Size{1 << 20}, 16});
    for (const Call number : {Call::hello, Call::query, Call::batch, static_cast<Call>(0x999)}) {
        const auto plan = plan_call(space, number, {});
        ASSERT_FALSE(plan);
        EXPECT_EQ(plan.error(), remap::Errno::enosys);
    }
    EXPECT_TRUE(plan_call(space, Call::map, {1 << 20, 4096, 3, 0}));
    std::array<abi::BatchCall, 1> linux_call{
        {{static_cast<uint64_t>(Call::linux_mlock), {1 << 20, 4096}, 0}}};
    const auto batch = plan_batch(space, linux_call);
    ASSERT_FALSE(batch);
    EXPECT_EQ(batch.error(), remap::Errno::einval);
}

TEST(Catalogue, KnowsWhatGivesMemoryBack) {
    constexpr uint64_t at = 0, small = 4096, large = 8192;
    EXPECT_TRUE(gives_memory_back(Call::unmap, Args{at, small}));
    EXPECT_TRUE(gives_memory_back(Call::release, Args{at, small}));
    EXPECT_TRUE(gives_memory_back(Call::shrink, Args{at, large, small}));
    EXPECT_TRUE(gives_memory_back(Call::linux_mremap, Args{at, large, small, 0, 0}));
    EXPECT_TRUE(gives_memory_back(Call::netbsd_mremap, Args{at, large, 0, small, 0}));
    EXPECT_TRUE(gives_memory_back(Call::utek_mremap, Args{at, at, small, GPREMAP_UTEK_RELEASE_ZFILL}));
    EXPECT_FALSE(gives_memory_back(Call::utek_mremap, Args{at, at, small, 3}));
    EXPECT_FALSE(gives_memory_back(Call::linux_mremap, Args{at, small, large, 1, 0}));
    EXPECT_FALSE(gives_memory_back(Call::grow, Args{at, small, large, 0}));
    EXPECT_FALSE(gives_memory_back(Call::move, Args{at, large, small, 0}));
    EXPECT_FALSE(gives_memory_back(Call::batch, Args{at, 1}));
}

}  // namespace
}  // namespace gpremap
