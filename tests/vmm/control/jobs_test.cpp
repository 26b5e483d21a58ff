#include "vmm/control/jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/control/events.h"
#include "vmm/control/protocol.h"

namespace gpremap {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;

class JobsTest : public testing::Test {
  protected:
    std::vector<JobState> seen_;
    Jobs jobs_{[this](const Job& job) { seen_.push_back(job.state); }};
};

TEST_F(JobsTest, EndInExactlyOneState) {
    const Job job = jobs_.add({{"range", "a"}}, seconds(60));
    std::vector<JobState> told;
    jobs_.when_final(job.id, [&](const Job& final) { told.push_back(final.state); });
    ASSERT_EQ(jobs_.take()->id, job.id);
    jobs_.note(job.id, 100, 40);
    EXPECT_EQ(jobs_.finish(job.id, "no", "ENOMEM").state, JobState::partly);
    jobs_.when_final(job.id, [&](const Job& final) { told.push_back(final.state); });
    EXPECT_THAT(told, ElementsAre(JobState::partly, JobState::partly));
    EXPECT_THAT(seen_,
                ElementsAre(JobState::waiting, JobState::running, JobState::running, JobState::partly));
    EXPECT_EQ(jobs_.cancel(job.id).state, JobState::partly);
    EXPECT_EQ(json_of(jobs_.find(job.id))["errno"], "ENOMEM");
}

TEST_F(JobsTest, NothingOfItIsRefused) {
    const Job job = jobs_.add({}, seconds(60));
    jobs_.take();
    EXPECT_EQ(jobs_.finish(job.id, "no", "").state, JobState::refused);
}

TEST_F(JobsTest, HaveAReasonToEnd) {
    const Job late = jobs_.add({}, seconds(0)), cancelled = jobs_.add({}, seconds(60)),
              fine = jobs_.add({}, seconds(60));
    jobs_.cancel(cancelled.id);
    EXPECT_EQ(jobs_.reason_to_end(late), "its deadline has passed");
    EXPECT_EQ(jobs_.reason_to_end(cancelled), "given up by a client");
    EXPECT_EQ(jobs_.reason_to_end(fine), "");
    jobs_.close();
    EXPECT_EQ(jobs_.reason_to_end(fine), "the run ends");
    EXPECT_THROW(jobs_.add({}, seconds(60)), CallError);
    for (int i = 0; i < 3; i++) EXPECT_TRUE(jobs_.take());  // to be given their ends
    EXPECT_FALSE(jobs_.take());
}

TEST_F(JobsTest, AreBounded) {
    for (size_t i = 0; i < Jobs::most_waiting; i++) jobs_.add({}, seconds(60));
    EXPECT_THROW(jobs_.add({}, seconds(60)), CallError);
    for (size_t i = 0; i < Jobs::most_kept + 5; i++) {
        const Job job = *jobs_.take();
        jobs_.finish(job.id, "", "");
        jobs_.add({}, seconds(60));
    }
    EXPECT_THROW(jobs_.find(5), CallError);
    EXPECT_EQ(jobs_.find(6).state, JobState::done);
    EXPECT_EQ(jobs_.counts().at("waiting"), Jobs::most_waiting);
    EXPECT_EQ(jobs_.counts().at("done"), Jobs::most_kept);
    const std::vector<Job> last = jobs_.last(3);
    ASSERT_EQ(last.size(), 3u);
    EXPECT_EQ(last.back().id, jobs_.last(1).at(0).id);
    EXPECT_EQ(jobs_.last(~size_t{0}).size(), Jobs::most_waiting + Jobs::most_kept);
}

TEST(EventRing, KeepsTheLastWithTheirNumbers) {
    size_t woken = 0;
    EventRing ring([&] { woken++; });
    for (size_t i = 0; i < EventRing::capacity + 3; i++) ring.tell("test", i, {{"i", i}});
    EXPECT_EQ(woken, EventRing::capacity + 3);
    EXPECT_EQ(ring.oldest(), 3u);
    EXPECT_EQ(ring.next(), EventRing::capacity + 3);
    EXPECT_FALSE(ring.from(2, 100));
    const auto first = ring.from(3, 1);
    ASSERT_TRUE(first);
    ASSERT_EQ(first->size(), 1u);
    const JsonObject event = JsonObject::parse(first->front());
    EXPECT_EQ(event["params"]["seq"], 3);
    EXPECT_EQ(event["params"]["t_ns"], 3);
    EXPECT_EQ(event["params"]["kind"], "test");
    EXPECT_EQ(ring.from(3, ~size_t{0})->size(), EventRing::capacity);
    EXPECT_TRUE(ring.from(ring.next(), 100)->empty());
}

}  // namespace
}  // namespace gpremap
