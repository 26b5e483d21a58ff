// The page of a run that goes on, over a real socket: what it answers, and to whom.
#include "vmm/watch/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace gpremap {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string begun =
    R"({"event":"begin","schema":"gpremap.journal/1","tool":{"version":"1"},"host":{},"vm":{},"pinning":{},"began":"","parameters":{},)"
    R"("provenance":{"command":["gpremap"],"scenario":{"text":"# Question: what?\n"}}})"
    "\n";
const std::string ended = R"({"event":"end","summary":{},"interrupted":false,"died":null})"
                          "\n";

std::string sample(int number) {
    return R"({"event":"sample","workload":"writer","vcpu":1,"t_ns":)" + std::to_string(number * 1'000'000) +
           R"(,"ops":1,"bytes":64,"max_ns":5})" + "\n";
}

class Watched : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/journal-XXXXXX";
        Descriptor made(mkstemp(name));
        path_ = name;
    }
    void TearDown() override { std::remove(path_.c_str()); }

    void write(const std::string& text) const { std::ofstream(path_, std::ios::app) << text; }

    std::string path_;
};

std::string host_of(const PageServer& server) {
    return server.url().substr(7, server.url().size() - 8);
}

Descriptor connection_to(const PageServer& server) {
    Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const std::string host = host_of(server);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(host.substr(host.find(':') + 1))));
    EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval patience = {10, 0};
    setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return client;
}

// All that comes until the server closes the connection.
std::string talk(const PageServer& server, const std::string& request) {
    const Descriptor client = connection_to(server);
    EXPECT_EQ(send(client.get(), request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char part[4096];
    for (ssize_t size; (size = recv(client.get(), part, sizeof part, 0)) > 0;)
        answer.append(part, static_cast<size_t>(size));
    return answer;
}

std::string get(const PageServer& server, const std::string& path, const std::string& method = "GET") {
    return talk(server, method + " " + path + " HTTP/1.1\r\nHost: " + host_of(server) +
                            "\r\nConnection: close\r\n\r\n");
}

JsonObject contents(const PageServer& server) {
    const std::string answer = get(server, "/contents.json");
    return JsonObject::parse(answer.substr(answer.find("\r\n\r\n") + 4));
}

TEST_F(Watched, FollowsTheJournal) {
    const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
    EXPECT_EQ(contents(server).at("state"), "The run has not begun.");
    write(begun + sample(1) + sample(2) + sample(3).substr(0, 20));
    JsonObject page = contents(server);
    EXPECT_EQ(page.at("question"), "what?");
    EXPECT_EQ(page.at("runs").at(0).at("series").at(0).at("rate").size(), 1u);
    write(sample(3).substr(20) + sample(4));
    page = contents(server);
    EXPECT_EQ(page.at("runs").at(0).at("series").at(0).at("rate").size(), 3u);
    EXPECT_EQ(page.at("has_ended"), false);
    EXPECT_EQ(page.at("live"), true);
    write(ended);
    EXPECT_EQ(contents(server).at("has_ended"), true);
}

TEST_F(Watched, ServesAPageThatAsksForMore) {
    const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
    write(begun);
    const std::string page = get(server, "/");
    EXPECT_THAT(page, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(page, HasSubstr("connect-src 'self'"));
    EXPECT_THAT(page, HasSubstr("</html>"));
}

TEST_F(Watched, AnswersNothingElse) {
    const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
    write(begun);
    EXPECT_THAT(get(server, "/../etc/passwd"), StartsWith("HTTP/1.1 404"));
    EXPECT_THAT(get(server, "/", "POST"), StartsWith("HTTP/1.1 405"));
    EXPECT_THAT(talk(server, "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"),
                StartsWith("HTTP/1.1 403"));
    EXPECT_THAT(talk(server, "GET / HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 403"));
}

TEST_F(Watched, RubbishAndSilenceHarmNobody) {
    const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
    write(begun);
    std::vector<Descriptor> silent;
    for (int i = 0; i < 8; i++) silent.push_back(connection_to(server));
    talk(server, "\x16\x03\x01 what is this\r\n\r\n");
    const Descriptor greedy = connection_to(server);
    const std::string much(1 << 20, 'x');
    send(greedy.get(), much.data(), much.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    EXPECT_THAT(get(server, "/"), StartsWith("HTTP/1.1 200"));
}

TEST_F(Watched, AJournalThatIsNoneIsAnErrorOfItsOwn) {
    const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
    write("[]\n");
    EXPECT_THAT(get(server, "/"), StartsWith("HTTP/1.1 500"));
    EXPECT_THAT(get(server, "/nothing"), StartsWith("HTTP/1.1 404"));
}

TEST_F(Watched, StaysUntilTheEndWasSeenOrForTwoSeconds) {
    using Clock = std::chrono::steady_clock;
    auto begin = Clock::now();
    for (int unwatched = 0; unwatched < 20; unwatched++)
        const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(38));  // no two seconds for each
    {
        const PageServer server(listen_on_loopback("127.0.0.1:0"), path_);
        write(begun);
        contents(server);
        begin = Clock::now();
    }
    EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(1900));
}

}  // namespace
}  // namespace gpremap
