#include "vmm/base/interruption.h"

#include <cstring>
#include <ctime>
#include <string>

namespace gpremap {

Interrupted::Interrupted(int with)
    : std::runtime_error(std::string("ended by a signal: ") + strsignal(with) +
                         "; everything that was started has been stopped"),
      signal(with) {}

Interruption::Interruption() {
    sigemptyset(&signals_);
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
}

Interruption::~Interruption() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void Interruption::check() const {
    const timespec at_once{0, 0};
    if (int signal = sigtimedwait(&signals_, nullptr, &at_once); signal > 0) throw Interrupted(signal);
}

}  // namespace gpremap
