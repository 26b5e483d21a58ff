#include "vmm/guests/linux/keyboard.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "vmm/base/threads.h"

namespace gpremap {
namespace {

void take_terminal(termios settings) {
    settings.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    settings.c_iflag &= ~static_cast<tcflag_t>(ICRNL);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

}  // namespace

Keyboard::Keyboard(std::function<void(uint8_t)> take)
    : take_(std::move(take)), end_(eventfd(0, EFD_CLOEXEC)) {
    if (!end_.valid()) throw std::system_error(errno, std::generic_category(), "eventfd");
    if (termios settings; tcgetattr(STDIN_FILENO, &settings) == 0) {
        before_ = settings;
        take_terminal(settings);
    }
    thread_ = std::thread([this] { read(); });
}

Keyboard::~Keyboard() {
    const uint64_t one = 1;
    (void)!::write(end_.get(), &one, sizeof one);
    thread_.join();
    if (before_) (void)tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

void Keyboard::read() {
    begin_thread(ThreadKind::keyboard, "keyboard");
    std::array<uint8_t, 256> typed;
    pollfd waited[] = {{STDIN_FILENO, POLLIN, 0}, {end_.get(), POLLIN, 0}};
    while (poll(waited, std::size(waited), -1) >= 0 || errno == EINTR) {
        if (waited[1].revents) return;
        if (!waited[0].revents) continue;
        const ssize_t count = ::read(STDIN_FILENO, typed.data(), typed.size());
        if (count <= 0) return;
        for (ssize_t i = 0; i < count; i++) take_(typed[static_cast<std::size_t>(i)]);
    }
}

}  // namespace gpremap
