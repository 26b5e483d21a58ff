// Clients that are broken, slow or greedy: nobody else notices. And paths that cannot be a socket's.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/vmm/control/fake_machine.h"
#include "tests/vmm/control/socket_client.h"
#include "vmm/base/errors.h"
#include "vmm/control/control.h"
#include "vmm/control/server.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

class HostileTest : public testing::Test {
  protected:
    HostileTest() : path_(testing::TempDir() + "hostile-" + std::to_string(getpid()) + ".sock") {
        control_.emplace(path_);
        control_->begin(machine_.target(), state_);
    }

    void expect_others_are_served() { SocketClient(path_).result_of("query"); }

    // What the last line before the end says is wrong.
    static std::string last_words(SocketClient& client) {
        std::string name;
        while (const auto message = client.next())
            if (message->contains("error")) name = (*message)["error"]["data"]["name"];
        return name;
    }

    const std::string path_;
    FakeMachine machine_;
    RunState state_{0, 1, OnFailure::go_on};
    std::optional<Control> control_;
};

TEST_F(HostileTest, HalfALine) {
    auto client = std::make_optional<SocketClient>(path_);
    client->send(R"({"jsonrpc":"2.0","id":1,"method":"que)");
    expect_others_are_served();
    client->send("ry\"}\n");
    client->next();
    EXPECT_TRUE((*client->next()).contains("result"));
    client->send(R"({"jsonrpc":)");
    client.reset();
    expect_others_are_served();
}

TEST_F(HostileTest, AMegabyteWithoutAnEnd) {
    SocketClient client(path_);
    EXPECT_LT(client.send(std::string(1 << 20, 'x')), 1u << 20);
    expect_others_are_served();
    EXPECT_EQ(last_words(client), "too_much");
}

TEST_F(HostileTest, ALineThatIsTooLong) {
    SocketClient client(path_);
    client.send(std::string(most_line + 100, ' ') + "\n");
    EXPECT_EQ(last_words(client), "too_much");
}

TEST_F(HostileTest, Rubbish) {
    SocketClient client(path_);
    client.next();
    for (const std::string& rubbish :
         {std::string("hello\n"), std::string("\x01\xff\xfe\n"), std::string("{}\n"), std::string("[]\n"),
          std::string("7\n"), std::string("{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"query\"}\n"),
          std::string(20000, '[') + "\n",
          std::string("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"query\",\"params\":[1]}\n"),
          std::string(4, '\0') + "\n"}) {
        client.send(rubbish);
        const auto answer = client.next();
        ASSERT_TRUE(answer) << rubbish;
        EXPECT_TRUE(answer->contains("error")) << *answer;
    }
    client.result_of("query");
}

TEST_F(HostileTest, TenThousandRequestsWithoutReading) {
    SocketClient greedy(path_);
    std::string all;
    for (int i = 0; i < 10'000; i++) all += SocketClient::request(i, "fly");  // its answer is longer
    const size_t sent = greedy.send(all, 1000);
    EXPECT_LT(sent, all.size()) << "the server keeps all that it is sent";
    expect_others_are_served();
    // Once it reads, it has an answer to each.
    std::thread rest([&] { greedy.send(std::string_view(all).substr(sent)); });
    std::vector<int> answers(10'000);
    for (int i = 0; i < 10'000;) {
        const auto message = greedy.next();
        ASSERT_TRUE(message);
        if (!message->contains("id")) continue;
        answers.at((*message)["id"])++;
        i++;
    }
    rest.join();
    EXPECT_EQ(answers, std::vector<int>(10'000, 1));
}

TEST_F(HostileTest, ASubscriberThatDoesNotRead) {
    SocketClient sleepy(path_);
    sleepy.result_of("events");
    for (size_t i = 0; i < 4 * EventRing::capacity; i++)
        control_->tell("test", {{"text", std::string(100, 'x')}});
    expect_others_are_served();
    EXPECT_EQ(last_words(sleepy), "too_late");
}

TEST_F(HostileTest, TwoHundredConnections) {
    std::vector<std::unique_ptr<SocketClient>> clients;
    size_t turned_away = 0;
    for (int i = 0; i < 200; i++) {
        clients.push_back(std::make_unique<SocketClient>(path_));
        const auto first = clients.back()->next();
        ASSERT_TRUE(first);
        turned_away += first->contains("error");
    }
    EXPECT_EQ(turned_away, 200 - most_clients);
    clients.front()->result_of("query");
    clients.clear();
    // Others are turned away until it is seen that these have gone.
    for (int tries = 0; tries < 600 && SocketClient(path_).call("query").empty(); tries++)
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    expect_others_are_served();
}

// ---- paths ----

TEST_F(HostileTest, TheSocketIsItsOwnersAndGoesWithIt) {
    struct stat there = {};
    ASSERT_EQ(stat(path_.c_str(), &there), 0);
    EXPECT_EQ(there.st_mode & 0777, 0600u);
    control_.reset();
    EXPECT_FALSE(std::filesystem::exists(path_));
}

std::string problem_of(const std::string& path) {
    try {
        const Server server(path);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

TEST_F(HostileTest, APathThatIsTakenIsRefused) {
    EXPECT_THAT(problem_of(path_), HasSubstr("somebody listens there"));
    expect_others_are_served();
    const std::string file = path_ + ".txt";
    std::ofstream(file) << "mine";
    EXPECT_THAT(problem_of(file), HasSubstr("no socket"));
    EXPECT_TRUE(std::filesystem::exists(file));
    std::filesystem::remove(file);
    EXPECT_THAT(problem_of("/tmp/" + std::string(200, 'x')), HasSubstr("1 to 107 bytes"));
    EXPECT_THAT(problem_of("/nowhere/at/all"), HasSubstr("No such file"));
}

TEST_F(HostileTest, ASocketThatIsLeftOverIsReplaced) {
    const std::string left_over = path_ + ".old";
    {
        const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, left_over.data(), left_over.size());
        ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ASSERT_TRUE(std::filesystem::exists(left_over));
    EXPECT_EQ(problem_of(left_over), "");
    EXPECT_FALSE(std::filesystem::exists(left_over));
}

}  // namespace
}  // namespace gpremap
