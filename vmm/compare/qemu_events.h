// What libvirt tells of one domain's memory while it changes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmm/compare/waiter.h"
#include "vmm/libvirt/connection.h"

namespace gpremap {

class QemuEvents {
  public:
    // From now on, until the end of its life, events of `domain` are noted.
    QemuEvents(virConnectPtr connection, virDomainPtr domain, Waiter& waiter);
    ~QemuEvents();
    QemuEvents(const QemuEvents&) = delete;
    QemuEvents& operator=(const QemuEvents&) = delete;

    // Forgets what was noted, before a change.
    void clear();

    // Waits for one of these. Nothing where none came until the deadline; throws Interrupted.
    std::optional<Clock::time_point> balloon(uint64_t bytes);
    std::optional<Clock::time_point> device_size(const std::string& alias, uint64_t bytes);
    std::optional<Clock::time_point> device_added(const std::string& alias);
    std::optional<Clock::time_point> device_removed(const std::string& alias);

  private:
    // What the callbacks know. libvirt's thread may be in one that has just been deregistered, so each keeps
    // it.
    struct Noted {
        Waiter& waiter;                                      // outlives libvirt's thread
        std::map<std::string, Clock::time_point> when = {};  // the waiter's lock guards it

        void note(const std::string& what);
    };
    using Owner = std::shared_ptr<Noted>;

    std::optional<Clock::time_point> wait(const std::string& what);
    template <typename Callback>
    void listen(virDomainPtr domain, int event, Callback callback);

    virConnectPtr connection_;
    Owner noted_;
    std::vector<int> callbacks_;
};

}  // namespace gpremap
