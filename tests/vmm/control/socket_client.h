// A client of the tests: it may send anything, and never waits for ever.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include "vmm/base/descriptor.h"
#include "vmm/control/protocol.h"

namespace gpremap {

class SocketClient {
  public:
    explicit SocketClient(const std::string& path)
        : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        EXPECT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << path;
    }

    // As much as the other end takes, until it takes nothing for so long; how much that was.
    size_t send(std::string_view text, int patience_ms = 60'000) {
        size_t sent = 0;
        while (sent < text.size()) {
            pollfd ready{socket_.get(), POLLOUT, 0};
            if (poll(&ready, 1, patience_ms) <= 0) break;
            const ssize_t n =
                ::send(socket_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n <= 0) break;
            sent += static_cast<size_t>(n);
        }
        return sent;
    }

    // Nothing at the end, and after 60 s, which is a failure.
    std::optional<JsonObject> next() {
        size_t end;
        while ((end = in_.find('\n')) == std::string::npos) {
            pollfd ready{socket_.get(), POLLIN, 0};
            if (poll(&ready, 1, 60'000) <= 0) {
                ADD_FAILURE() << "nothing came for 60 s";
                return std::nullopt;
            }
            std::array<char, 65536> chunk;
            const ssize_t n = read(socket_.get(), chunk.data(), chunk.size());
            if (n <= 0) return std::nullopt;
            in_.append(chunk.data(), static_cast<size_t>(n));
        }
        JsonObject message = JsonObject::parse(in_.substr(0, end));
        in_.erase(0, end + 1);
        return message;
    }

    static std::string request(int id, const std::string& method,
                               const JsonObject& params = JsonObject::object()) {
        return line_of({{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}});
    }

    // The answer to it, past whatever comes before. An empty object where there is none.
    JsonObject call(const std::string& method, const JsonObject& params = JsonObject::object()) {
        const int id = ++calls_;
        send(request(id, method, params));
        while (const auto message = next())
            if (message->value("id", JsonObject()) == id) return *message;
        return JsonObject::object();
    }
    // What it is refused for.
    std::string error_of(const std::string& method, const JsonObject& params = JsonObject::object()) {
        const JsonObject answer = call(method, params);
        return answer.contains("error") ? answer["error"]["data"]["name"].get<std::string>() : answer.dump();
    }
    JsonObject result_of(const std::string& method, const JsonObject& params = JsonObject::object()) {
        const JsonObject answer = call(method, params);
        EXPECT_TRUE(answer.contains("result")) << answer;
        return answer.value("result", JsonObject::object());
    }

  private:
    Descriptor socket_;
    std::string in_;
    int calls_ = 0;
};

}  // namespace gpremap
