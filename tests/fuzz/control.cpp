// The control socket: whatever a client sends, the server goes on, and the next client has its answer, before the fuzzer's
// timeout.
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
#include "vmm/control/client.h"

namespace {

using gpremap::Descriptor;

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
        pollfd ready{client.get(), POLLIN | POLLOUT, 0};
        if (poll(&ready, 1, -1) <= 0) fuzz::fail("poll");
        if ((ready.revents & POLLIN) && read(client.get(), answers.data(), answers.size()) <= 0) return;
        if (!(ready.revents & POLLOUT)) continue;
        const ssize_t sent = send(client.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN) return;
        if (sent > 0) text.remove_prefix(static_cast<size_t>(sent));
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
    if (!gpremap::ControlClient(path).call("job.list", gpremap::JsonObject::object()).contains("result"))
        fuzz::fail("the next client is refused");
    control.end();
    return 0;
}
