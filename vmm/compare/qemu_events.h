// What libvirt tells of one domain's memory while it changes.
#pragma once

#include <cstdint>
#include <map>
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
    void note(const std::string& what);
    std::optional<Clock::time_point> wait(const std::string& what);
    template <typename Callback>
    void listen(virDomainPtr domain, int event, Callback callback);

    virConnectPtr connection_;
    Waiter& waiter_;
    std::vector<int> callbacks_;
    std::map<std::string, Clock::time_point> noted_;  // when it came; the waiter's lock guards it
};

}  // namespace gpremap
