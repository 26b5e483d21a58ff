// Loopback and nothing else.
#include "vmm/watch/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Watch, ListensOnAnyFreePort) {
    const LoopbackListener one = listen_on_loopback("127.0.0.1:0"), two = listen_on_loopback("localhost:0");
    EXPECT_THAT(one.url, testing::MatchesRegex("http://127.0.0.1:[1-9][0-9]*/"));
    EXPECT_THAT(two.url, testing::MatchesRegex("http://localhost:[1-9][0-9]*/"));
    EXPECT_NE(one.url, two.url);
}

TEST(Watch, RefusesWhatIsNoLoopback) {
    for (const char* address :
         {"", "0.0.0.0:0", "192.0.2.1:80", "[::]:0", "example.org:0", "127.0.0.1", "127.0.0.1:", ":0",
          "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http", "127.0.0.1:0 "})
        EXPECT_THAT([&] { listen_on_loopback(address); },
                    ThrowsMessage<ConfigError>(HasSubstr("127.0.0.1:0")))
            << address;
}

TEST(Watch, SaysThatAPortIsTaken) {
    const LoopbackListener first = listen_on_loopback("127.0.0.1:0");
    const std::string taken = first.url.substr(7, first.url.size() - 8);
    EXPECT_THAT([&] { listen_on_loopback(taken); },
                ThrowsMessage<ConfigError>(HasSubstr("another program has this port")));
}

}  // namespace
}  // namespace gpremap
