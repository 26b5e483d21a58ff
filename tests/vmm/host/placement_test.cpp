// Which processors are chosen for what, and that threads then run there.
#include "vmm/host/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using Rule = PlacementConfig::Rule;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

using Numbers = std::vector<unsigned>;

// Processors with a core each.
std::vector<Processor> processors(const Numbers& numbers) {
    std::vector<Processor> all;
    for (unsigned number : numbers) all.push_back({number, number});
    return all;
}

Numbers numbers_of(const std::vector<Processor>& processors) {
    Numbers numbers;
    for (const Processor& each : processors) numbers.push_back(each.number);
    return numbers;
}

PlacementConfig stated(const Numbers& cpus, const Numbers& host_cpus = {}) {
    return {Rule::stated, cpus, host_cpus, "f:2: key 'vm.cpus': ", "f:3: key 'vm.host_cpus': "};
}

TEST(Spread, LeavesTheFirstToTheRest) {
    const Pinning pinning = choose_pinning({}, 3, processors({0, 1, 2, 3}));
    EXPECT_THAT(pinning.cpus, Optional(ElementsAre(1, 2, 3)));
    EXPECT_THAT(pinning.host_cpus, Optional(ElementsAre(0)));
    EXPECT_EQ(pinning.note, std::nullopt);
}

TEST(Spread, GivesTheRestAllThatNoVcpuHas) {
    const Pinning pinning = choose_pinning({}, 1, processors({2, 5, 7, 9}));
    EXPECT_THAT(pinning.cpus, Optional(ElementsAre(5)));
    EXPECT_THAT(pinning.host_cpus, Optional(ElementsAre(2, 7, 9)));
}

TEST(Spread, TakesSiblingsLast) {
    const std::vector<Processor> usable{{0, 0}, {1, 0}, {2, 2}, {3, 2}, {4, 4}, {5, 4}};
    EXPECT_THAT(choose_pinning({}, 2, usable).cpus, Optional(ElementsAre(2, 4)));
    EXPECT_THAT(choose_pinning({}, 4, usable).cpus, Optional(ElementsAre(2, 4, 1, 3)));
    EXPECT_THAT(choose_pinning({}, 4, usable).host_cpus, Optional(ElementsAre(0, 5)));
}

TEST(Spread, KeepsOffWhatIsTheRestsAsStated) {
    PlacementConfig config;
    config.host_cpus = {2, 3};
    const Pinning pinning = choose_pinning(config, 2, processors({0, 1, 2, 3}));
    EXPECT_THAT(pinning.cpus, Optional(ElementsAre(0, 1)));
    EXPECT_THAT(pinning.host_cpus, Optional(ElementsAre(2, 3)));
    EXPECT_EQ(pinning.note, std::nullopt);
}

TEST(Spread, PinsNothingWhereThereAreTooFew) {
    const Pinning pinning = choose_pinning({}, 2, processors({0, 1}));
    EXPECT_EQ(pinning.cpus, std::nullopt);
    EXPECT_EQ(pinning.host_cpus, std::nullopt);
    EXPECT_THAT(pinning.note, Optional(HasSubstr("2 vCPUs and the rest of this program share 2 processors")));
    PlacementConfig config;
    config.host_cpus = {2, 3};
    const Pinning left = choose_pinning(config, 3, processors({0, 1, 2, 3}));
    EXPECT_EQ(left.cpus, std::nullopt);
    EXPECT_EQ(left.host_cpus, std::nullopt);
    EXPECT_THAT(left.note, Optional(HasSubstr("host_cpus leaves 2 processors for 3 vCPUs")));
}

TEST(Any, PinsNothing) {
    PlacementConfig config;
    config.rule = Rule::any;
    const Pinning pinning = choose_pinning(config, 1, processors({0, 1}));
    EXPECT_EQ(pinning.cpus, std::nullopt);
    EXPECT_EQ(pinning.host_cpus, std::nullopt);
    EXPECT_EQ(pinning.note, std::nullopt);
    EXPECT_THAT(choose_pinning(config, 1, processors({4})).note, Optional(HasSubstr("share 1 processor:")));
}

TEST(Stated, IsTakenInOrder) {
    const Pinning pinning = choose_pinning(stated({3, 1}, {0}), 2, processors({0, 1, 2, 3}));
    EXPECT_THAT(pinning.cpus, Optional(ElementsAre(3, 1)));
    EXPECT_THAT(pinning.host_cpus, Optional(ElementsAre(0)));
    EXPECT_EQ(pinning.note, std::nullopt);
}

TEST(Stated, SaysWhatIsShared) {
    const Pinning all = choose_pinning(stated({0, 1}), 2, processors({0, 1}));
    EXPECT_THAT(all.cpus, Optional(ElementsAre(0, 1)));
    EXPECT_EQ(all.host_cpus, std::nullopt);
    EXPECT_THAT(all.note, Optional(HasSubstr("share 2 processors")));
    EXPECT_THAT(choose_pinning(stated({1}, {1}), 1, processors({0, 1, 2})).note,
                Optional(HasSubstr("processor 1 is shared")));
}

std::string complaint_about(const PlacementConfig& config) {
    try {
        choose_pinning(config, 1, processors({0, 1, 2, 5}));
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

TEST(Stated, MustBeUsable) {
    EXPECT_EQ(complaint_about(stated({4})),
              "f:2: key 'vm.cpus': expected processors that this process may run on, 0-2,5 (as taskset and "
              "cgroups leave it), got 4");
    EXPECT_THAT(complaint_about(stated({1}, {0, 99})), HasSubstr("f:3: key 'vm.host_cpus': expected"));
}

TEST(Processors, AreThoseThatThisThreadMayRunOn) {
    const Numbers before = numbers_of(usable_processors());
    ASSERT_FALSE(before.empty());
    {
        const RunOn one(Numbers{before.back()});
        EXPECT_THAT(numbers_of(usable_processors()), ElementsAre(before.back()));
        Numbers of_child;
        std::thread([&] { of_child = numbers_of(usable_processors()); }).join();
        EXPECT_THAT(of_child, ElementsAre(before.back()));
    }
    EXPECT_EQ(numbers_of(usable_processors()), before);
    EXPECT_THROW(run_on({8191}), std::system_error);
    EXPECT_EQ(numbers_of(usable_processors()), before);
}

TEST(Processors, AreListedAsLinuxDoes) {
    EXPECT_EQ(list_of({}), "");
    EXPECT_EQ(list_of({3}), "3");
    EXPECT_EQ(list_of({0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
}

}  // namespace
}  // namespace gpremap
