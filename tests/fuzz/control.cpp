// The control socket: whatever a client sends, the server goes on, and the next client has its answer.
#include "vmm/control/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "tests/fuzz/input.h"
#include "tests/vmm/control/fake_machine.h"
#include "vmm/base/descriptor.h"

namespace {

using gpremap::Descriptor;

// Whether something of `events` has come, within 100 times a tenth of a second that this process had a processor.
bool wait_for(const Descriptor& client, short events, short& came) {
    for (int i = 0; i < 100; i++) {
        pollfd ready{client.get(), events, 0};
        if (poll(&ready, 1, 100) > 0) {
            came = ready.revents;
            return true;
        }
    }
    return false;
}

Descriptor connect_to(const std::string& path) {
    Descriptor client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fuzz::fail("no connection");
    return client;
}

// Until all is sent, or the server has closed; it may stop reading while its answers are not read.
void send_and_read(const Descriptor& client, std::string_view text) {
    std::array<char, 65536> answers;
    while (!text.empty()) {
        short came = 0;
        if (!wait_for(client, POLLIN | POLLOUT, came)) fuzz::fail("the server neither reads nor answers");
        if ((came & POLLIN) && read(client.get(), answers.data(), answers.size()) <= 0) return;
        if (!(came & POLLOUT)) continue;
        const ssize_t sent = send(client.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) text.remove_prefix(static_cast<size_t>(sent));
    }
}

void expect_answer(const std::string& path) {
    const Descriptor client = connect_to(path);
    send_and_read(client, "{\"jsonrpc\": \"2.0\", \"id\": \"the last\", \"method\": \"job.list\"}\n");
    std::string answers;
    while (answers.find("\"id\":\"the last\"") == std::string::npos) {
        std::array<char, 65536> chunk;
        short came = 0;
        if (!wait_for(client, POLLIN, came)) fuzz::fail("another client has no answer");
        const ssize_t n = read(client.get(), chunk.data(), chunk.size());
        if (n <= 0) fuzz::fail("another client was dropped");
        answers.append(chunk.data(), static_cast<size_t>(n));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::string path = "/tmp/gpremap-fuzz-" + std::to_string(getpid()) + ".sock";
    gpremap::FakeMachine machine;
    gpremap::RunState state(0, 1, gpremap::OnFailure::go_on);
    gpremap::Control control(path);
    control.begin(machine.target(), state);
    {
        const Descriptor client = connect_to(path);
        send_and_read(client, {reinterpret_cast<const char*>(data), size});
    }
    if (!machine.is_interrupted) expect_answer(path);
    control.end();
    return 0;
}
