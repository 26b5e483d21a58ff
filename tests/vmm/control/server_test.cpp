// The socket alone: what is said when it is to end.
#include "vmm/control/server.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include "tests/vmm/control/socket_client.h"

namespace gpremap {
namespace {

class ServerTest : public testing::Test {
  protected:
    const std::string path_ = testing::TempDir() + "server-" + std::to_string(getpid()) + ".sock";
    Server server_{path_};
};

// What ends a run is a request itself: its answer may be on its way while the run ends.
TEST_F(ServerTest, RequestsInFlightAreAnsweredBeforeItEnds) {
    std::promise<Reply> asked;
    server_.start([&](const Request&, Reply reply) { asked.set_value(std::move(reply)); }, {});
    SocketClient client(path_);
    client.send(SocketClient::request(1, "stop"));
    const Reply reply = asked.get_future().get();
    std::thread late([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        reply(JsonObject{{"stopping", true}});
    });
    server_.stop();
    late.join();
    EXPECT_EQ(client.next()->at("method"), "hello");
    const auto answer = client.next();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->at("result").at("stopping"), true);
    EXPECT_FALSE(client.next());
}

// Nor does it wait for ever for what answers never.
TEST_F(ServerTest, EndsWithoutAnAnswerThatDoesNotCome) {
    std::promise<Reply> asked;
    server_.start([&](const Request&, Reply reply) { asked.set_value(std::move(reply)); }, {});
    SocketClient client(path_);
    client.send(SocketClient::request(1, "stats") + SocketClient::request(2, "nothing"));
    const Reply reply = asked.get_future().get();
    server_.stop();
    EXPECT_EQ(client.next()->at("method"), "hello");
    reply(JsonObject::object());  // to nobody
}

}  // namespace
}  // namespace gpremap
