// A Linux guest that is resized and measured, whatever does that, and whoever carries the lines to its program and back:
// guest/baseline/resize_guest.cpp, which says what it obeys.
#pragma once

#include <string>

#include "vmm/compare/guest_channel.h"
#include "vmm/compare/resize_plan.h"
#include "vmm/compare/resizing.h"
#include "vmm/compare/waiter.h"

namespace gpremap {

// What of the guest's own choices changes the outcome.
struct GuestSettings {
    bool init_on_alloc = true;  // Linux zeroes each page that it hands out: so Debian builds it
    std::string memhp_default_state = "online_movable";
};
// As the kernel's command line has them.
std::string kernel_parameters(const GuestSettings& settings);

class ResizedLinux {
  public:
    virtual ~ResizedLinux() = default;
    ResizedLinux(const ResizedLinux&) = delete;
    ResizedLinux& operator=(const ResizedLinux&) = delete;

    // Resizes it, and has it touch and verify its memory. Throws GuestDied where it does not answer until the deadline, or
    // its memory is not as it was; Interrupted; and as change() does.
    Measured resize(const Resizing& resizing);

    // Its own memory, without the part that is resized, in bytes.
    static uint64_t base_memory(const Schedule& schedule);

  protected:
    ResizedLinux(Way way, const Schedule& schedule, Waiter& waiter)
        : way_(way), schedule_(schedule), waiter_(waiter) {}

    // Waits until all memory that the schedule begins with is in use, stamped. Throws as resize() does.
    void settle();
    // What the program says beside `expected`, to a request, or as what comes next.
    std::string ask(const std::string& request, const std::string& expected);
    std::string answer(const std::string& expected);
    // That Linux has come to its new size: sets what the workload has lost meanwhile. Returns when it was said.
    Clock::time_point take_reached(Measured& measured);
    // Throws GuestDied.
    [[noreturn]] void give_up(const std::string& what);

    const Schedule& schedule() const { return schedule_; }
    Waiter& waiter() const { return waiter_; }

  private:
    virtual void send(const std::string& line) = 0;
    // The program's next line. Gives up where none comes until the deadline.
    virtual GuestChannel::Line receive() = 0;
    // What its console says, to end a message with; or nothing.
    virtual std::string last_words() = 0;
    // Of host memory that it has.
    virtual uint64_t host_bytes() = 0;
    // Resizes it, waits for it by take_reached(), and says how long that took: command, guest and event.
    virtual void change(const Resizing& resizing, Measured& measured) = 0;

    std::string use(uint64_t size);
    uint64_t settled_host_bytes();

    const Way way_;
    const Schedule& schedule_;
    Waiter& waiter_;
    uint64_t initial_total_ = 0;  // bytes that Linux managed before the first resize
};

}  // namespace gpremap
