// A socket, its threads and a machine that is none: calls, jobs, events.
#include "vmm/control/control.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <set>
#include <thread>

#include "tests/vmm/control/fake_machine.h"
#include "tests/vmm/control/socket_client.h"

namespace gpremap {
namespace {

using testing::AnyOf;
using testing::ElementsAre;

class ControlTest : public testing::Test {
  protected:
    ControlTest()
        : path_(testing::TempDir() + "control-" + std::to_string(getpid()) + ".sock"), control_(path_) {}

    void begin() { control_.begin(machine_.target(), state_); }
    // Of size 1 MiB, named `name`.
    static void map(SocketClient& client, const std::string& name) {
        client.result_of("map", {{"name", name}, {"size", "1MiB"}});
    }

    const std::string path_;
    FakeMachine machine_;
    RunState state_{0, 1, OnFailure::go_on};
    Control control_;
};

TEST_F(ControlTest, GreetsAndDescribesItself) {
    begin();
    SocketClient client(path_);
    const auto greeting = client.next();
    ASSERT_TRUE(greeting);
    EXPECT_EQ((*greeting)["method"], "hello");
    EXPECT_EQ((*greeting)["params"]["version"], control_version);
    EXPECT_GT(client.result_of("rpc.discover")["calls"].size(), 30u);
}

TEST_F(ControlTest, MakesCallsOnRangesByName) {
    begin();
    SocketClient client(path_);
    const uint64_t at = client.result_of("map", {{"name", "a"}, {"size", "1MiB"}})["result"];
    EXPECT_EQ(client.result_of("move", {{"range", "a"}, {"to", "16GiB"}})["result"], 16ull << 30);
    EXPECT_EQ(client.result_of("grow", {{"range", "a"}, {"new_size", "+1MiB"}})["result"], 16ull << 30);
    const JsonObject extents = client.result_of("query", {{"range", "a"}})["extents"];
    ASSERT_EQ(extents.size(), 1u);
    EXPECT_EQ(extents[0]["size"], 2u << 20);
    EXPECT_TRUE(client.result_of("query", {{"at", at}, {"len", 4096}})["extents"].empty());
    EXPECT_EQ(client.result_of("unmap", {{"at", 16ull << 30}, {"size", 2u << 20}})["result"], 0);
    EXPECT_TRUE(client.result_of("query")["extents"].empty());
}

TEST_F(ControlTest, SaysWhyItRefuses) {
    begin();
    SocketClient client(path_);
    const JsonObject answer = client.call("map", {{"name", "a"}, {"size", "2GiB"}});
    EXPECT_EQ(answer["error"]["code"], -32000);
    EXPECT_EQ(answer["error"]["data"]["errno"], "ENOMEM");
    EXPECT_EQ(answer["error"]["data"]["amount"], 0);
    EXPECT_EQ(client.error_of("move", {{"range", "b"}, {"to", "16GiB"}}), "bad_arguments");
    EXPECT_EQ(client.error_of("move", {{"rnge", "b"}}), "bad_arguments");
    EXPECT_EQ(client.error_of("map", {{"name", "a"}, {"size", "many"}}), "bad_arguments");
    EXPECT_EQ(client.error_of("map", {{"name", "a"}, {"size", nullptr}}), "bad_arguments");
    EXPECT_EQ(client.error_of("fly"), "unknown_call");
    EXPECT_EQ(client.error_of("checkpoint", {{"file", "x"}}), "not_written");
    EXPECT_EQ(client.error_of("workload.start", {{"name", "x"}}), "no_such");
    EXPECT_EQ(client.error_of("job", {{"id", 7}}), "no_such");
}

TEST_F(ControlTest, MakesABatchOfCallsAsOne) {
    begin();
    SocketClient client(path_);
    map(client, "a");
    map(client, "b");
    const JsonObject both = {{{"move", {{"range", "a"}, {"to", "16GiB"}}}},
                             {{"move", {{"range", "b"}, {"to", "20GiB"}}}}};
    EXPECT_EQ(client.result_of("batch", {{"calls", both}})["results"].size(), 2u);
    EXPECT_EQ(client.result_of("query", {{"range", "b"}})["extents"][0]["at"], 20ull << 30);
    const JsonObject second_fails = {{{"unmap", {{"range", "a"}}}},
                                     {{"move", {{"range", "b"}, {"to", "1GiB"}}}}};
    EXPECT_EQ(client.error_of("batch", {{"calls", second_fails}}), "refused");
    EXPECT_EQ(client.result_of("query")["extents"].size(), 2u);
}

TEST_F(ControlTest, AnswersABatchOfRequestsWithOneLine) {
    begin();
    SocketClient client(path_);
    client.next();
    client.send(R"([{"jsonrpc":"2.0","id":1,"method":"job.list"},{"jsonrpc":"2.0","method":"job.list"},7,)"
                R"({"jsonrpc":"2.0","id":"x","method":"query"}])"
                "\n");
    const auto answers = client.next();
    ASSERT_TRUE(answers && answers->is_array());
    std::set<std::string> ids;
    for (const JsonObject& each : *answers) ids.insert(each["id"].dump());
    EXPECT_EQ(ids, (std::set<std::string>{"1", "null", "\"x\""}));
}

TEST_F(ControlTest, WaitsForTheStepsThatAreAtWork) {
    begin();
    SocketClient client(path_);
    map(client, "a");
    auto step = std::make_optional(state_.floor().step([] {}));
    client.send(SocketClient::request(100, "unmap", {{"range", "a"}}));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(machine_.map().size(), 1u);
    step.reset();
    EXPECT_EQ((*client.next())["id"], 100);
    EXPECT_TRUE(machine_.map().empty());
}

TEST_F(ControlTest, TakesNoCallsWhilePaused) {
    begin();
    SocketClient client(path_);
    client.result_of("pause");
    EXPECT_EQ(machine_.paused, 1);
    EXPECT_EQ(client.error_of("query"), "paused");
    client.result_of("job.list");
    client.result_of("resume");
    EXPECT_EQ(machine_.paused, 0);
    client.result_of("query");
    client.result_of("pause");
    control_.end();
    EXPECT_EQ(machine_.paused, 0);
}

// ---- jobs ----

TEST_F(ControlTest, AJobIsDonePieceByPiece) {
    begin();
    SocketClient client(path_);
    map(client, "a");
    const JsonObject job =
        client.result_of("resize", {{"range", "a"}, {"new_size", "9MiB"}, {"piece", "1MiB"}});
    const JsonObject end = client.result_of("job.wait", {{"id", job["job"]}});
    EXPECT_EQ(end["state"], "done");
    EXPECT_EQ(end["amount"], 8u << 20);
    EXPECT_EQ(client.result_of("query", {{"range", "a"}})["extents"][0]["size"], 9u << 20);
    const JsonObject shrink = client.result_of("resize", {{"range", "a"}, {"new_size", "-8MiB"}});
    EXPECT_EQ(client.result_of("job.wait", {{"id", shrink["job"]}})["state"], "done");
    EXPECT_EQ(machine_.map().at(0).size, 1u << 20);
}

TEST_F(ControlTest, AJobIsRefusedOrDonePartly) {
    begin();
    SocketClient client(path_);
    map(client, "a");
    auto outcome = [&](const JsonObject& params) {
        const JsonObject job = client.result_of("resize", params);
        return client.result_of("job.wait", {{"id", job["job"]}});
    };
    EXPECT_EQ(outcome({{"range", "b"}, {"new_size", "9MiB"}})["state"], "refused");
    EXPECT_EQ(outcome({{"range", "a"}, {"new_size", "9MiB"}, {"deadline", 0}})["state"], "refused");
    const JsonObject all_at_once = outcome({{"range", "a"}, {"new_size", "2GiB"}, {"piece", "4GiB"}});
    EXPECT_EQ(all_at_once["state"], "refused");
    EXPECT_EQ(all_at_once["errno"], "ENOMEM");
    const JsonObject partly = outcome({{"range", "a"}, {"new_size", "2GiB"}});
    EXPECT_EQ(partly["state"], "partly");
    EXPECT_EQ(partly["errno"], "ENOMEM");
    EXPECT_EQ(partly["amount"], machine_.map().at(0).size - (1u << 20));
    EXPECT_EQ(client.error_of("resize", {{"range", "a"}, {"new_size", "9MiB"}, {"piece", 0}}),
              "bad_arguments");
}

TEST_F(ControlTest, AJobCanBeGivenUp) {
    machine_.before_step = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
    begin();
    SocketClient client(path_);
    map(client, "a");
    const JsonObject job =
        client.result_of("resize", {{"range", "a"}, {"new_size", "900MiB"}, {"piece", "1MiB"}});
    while (client.result_of("job", {{"id", job["job"]}})["amount"] < (2u << 20)) {
    }
    client.result_of("job.cancel", {{"id", job["job"]}});
    const JsonObject end = client.result_of("job.wait", {{"id", job["job"]}});
    EXPECT_EQ(end["state"], "partly");
    EXPECT_EQ(end["why"], "given up by a client");
    EXPECT_EQ(end["amount"], machine_.map().at(0).size - (1u << 20));
}

// ---- events ----

TEST_F(ControlTest, EventsAreTheSameForWhoComesLate) {
    begin();
    SocketClient early(path_), late(path_);
    early.result_of("events");
    map(early, "a");
    const uint64_t next = late.result_of("stats")["events"]["next"];
    EXPECT_EQ(next, 2u);
    late.result_of("events", {{"from", 0}});
    for (const char* kind : {"begun", "done"}) {
        const auto event = late.next();
        ASSERT_TRUE(event);
        EXPECT_EQ((*event)["params"]["kind"], kind);
        EXPECT_EQ((*event)["params"]["call"], "map");
    }
    EXPECT_EQ(late.error_of("events", {{"from", 1000}}), "bad_arguments");
}

TEST_F(ControlTest, SaysWhichEventsAreGone) {
    begin();
    for (size_t i = 0; i < EventRing::capacity + 10; i++) control_.tell("test", JsonObject::object());
    SocketClient client(path_);
    const JsonObject answer = client.call("events", {{"from", 3}});
    EXPECT_EQ(answer["error"]["data"]["name"], "too_late");
    EXPECT_EQ(answer["error"]["data"]["oldest"], 10);
    client.result_of("events", {{"from", 10}});
    for (uint64_t seq = 10; seq < 10 + EventRing::capacity; seq++)
        ASSERT_EQ((*client.next())["params"]["seq"], seq);
}

// ---- many at once, and the end ----

TEST_F(ControlTest, EightClientsGetEveryAnswerOnce) {
    begin();
    std::vector<std::thread> threads;
    for (int number = 0; number < 8; number++)
        threads.emplace_back([&, number] {
            SocketClient client(path_);
            const std::string name = "r" + std::to_string(number);
            map(client, name);
            constexpr int requests = 150;
            std::string all;
            for (int i = 0; i < requests; i++) {
                const JsonObject size = {{"range", name}, {"new_size", std::to_string(1 + i % 4) + "MiB"}};
                all += SocketClient::request(1000 + i,
                                             i % 3 == 0   ? "resize"
                                             : i % 3 == 1 ? "query"
                                                          : "job.list",
                                             i % 3 == 0 ? size : JsonObject::object());
            }
            std::thread sender([&] { EXPECT_EQ(client.send(all), all.size()); });
            std::set<uint64_t> answered, jobs;
            while (answered.size() < requests) {
                const auto message = client.next();
                ASSERT_TRUE(message);
                if (!message->contains("id")) continue;
                EXPECT_TRUE(answered.insert((*message)["id"].get<uint64_t>()).second) << *message;
                ASSERT_TRUE(message->contains("result")) << *message;
                if ((*message)["result"].contains("job"))
                    jobs.insert((*message)["result"]["job"].get<uint64_t>());
            }
            sender.join();
            for (uint64_t job : jobs)
                EXPECT_THAT(client.result_of("job.wait", {{"id", job}})["state"],
                            AnyOf("done", "refused", "partly"));
        });
    for (std::thread& thread : threads) thread.join();
    // Each range is all there, under its name, and nothing else is.
    SocketClient client(path_);
    for (int number = 0; number < 8; number++)
        client.result_of("unmap", {{"range", fmt::format("r{}", number)}});
    EXPECT_TRUE(machine_.map().empty());
}

TEST_F(ControlTest, EverythingThatWaitsIsAnsweredAtTheEnd) {
    std::promise<void> go_on;
    const auto until = go_on.get_future().share();
    machine_.before_call = [until] { until.wait(); };
    begin();
    SocketClient client(path_);
    client.next();
    for (int i = 0; i < 20; i++) client.send(SocketClient::request(i, "map", {{"size", "1MiB"}}));
    client.send(SocketClient::request(20, "resize", {{"range", "a"}, {"new_size", "1MiB"}}));
    client.send(SocketClient::request(21, "stop"));
    std::set<uint64_t> answered;
    for (bool is_stopping = false; !is_stopping;) {
        const auto message = client.next();
        ASSERT_TRUE(message);
        answered.insert((*message)["id"].get<uint64_t>());
        is_stopping = (*message)["id"] == 21;
    }
    control_.wait_for_stop([] {});
    std::thread end([&] { control_.end(); });
    go_on.set_value();
    while (const auto message = client.next()) answered.insert((*message)["id"].get<uint64_t>());
    end.join();
    EXPECT_EQ(answered.size(), 22u);
}

TEST_F(ControlTest, AHostThatFailsEndsTheRun) {
    machine_.before_call = [] { throw std::system_error(EIO, std::generic_category(), "a call"); };
    begin();
    SocketClient client(path_);
    EXPECT_EQ(client.error_of("map", {{"size", "1MiB"}}), "defect");
    EXPECT_TRUE(machine_.is_interrupted);
    EXPECT_THROW(control_.end(), std::system_error);
}

}  // namespace
}  // namespace gpremap
