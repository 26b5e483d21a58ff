#include "vmm/compare/qemu_events.h"

#include <string_view>

namespace gpremap {

namespace {

std::string balloon_at(uint64_t bytes) {
    return "balloon " + std::to_string(bytes);
}
std::string size_of(const std::string& alias, uint64_t bytes) {
    return "size " + alias + " " + std::to_string(bytes);
}
// libvirt 9 calls memory that was added "mem" and its alias, and memory that was removed by the alias alone.
std::string added(std::string_view alias) {
    if (alias.starts_with("mem")) alias.remove_prefix(3);
    return "added " + std::string(alias);
}
std::string removed(const std::string& alias) {
    return "removed " + alias;
}

}  // namespace

template <typename Callback>
void QemuEvents::listen(virDomainPtr domain, int event, Callback callback) {
    auto owner = std::make_unique<Owner>(noted_);
    const int id = checked(virConnectDomainEventRegisterAny(
                               connection_, domain, event, VIR_DOMAIN_EVENT_CALLBACK(callback), owner.get(),
                               [](void* of_callback) { delete static_cast<Owner*>(of_callback); }),
                           "cannot listen to events");
    owner.release();  // libvirt's, until nothing uses the callback any more
    callbacks_.push_back(id);
}

QemuEvents::QemuEvents(virConnectPtr connection, virDomainPtr domain, Waiter& waiter)
    : connection_(connection), noted_(new Noted{waiter}) {
    using Connect = virConnectPtr;
    listen(
        domain, VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
        +[](Connect, virDomainPtr, unsigned long long actual, void* self) {
            (*static_cast<Owner*>(self))->note(balloon_at(actual << 10));  // from KiB
        });
    listen(
        domain, VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE,
        +[](Connect, virDomainPtr, const char* alias, unsigned long long size, void* self) {
            (*static_cast<Owner*>(self))->note(size_of(alias, size << 10));
        });
    listen(
        domain, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, +[](Connect, virDomainPtr, const char* alias, void* self) {
            (*static_cast<Owner*>(self))->note(added(alias));
        });
    listen(
        domain, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
        +[](Connect, virDomainPtr, const char* alias, void* self) {
            (*static_cast<Owner*>(self))->note(removed(alias));
        });
}

QemuEvents::~QemuEvents() {
    for (int id : callbacks_) virConnectDomainEventDeregisterAny(connection_, id);
}

void QemuEvents::clear() {
    noted_->waiter.change([&] { noted_->when.clear(); });
}

void QemuEvents::Noted::note(const std::string& what) {
    const Clock::time_point now = Clock::now();
    waiter.change([&] { when[what] = now; });
}

std::optional<Clock::time_point> QemuEvents::wait(const std::string& what) {
    std::optional<Clock::time_point> at;
    noted_->waiter.wait([&] {
        if (auto found = noted_->when.find(what); found != noted_->when.end()) at = found->second;
        return at.has_value();
    });
    return at;
}

std::optional<Clock::time_point> QemuEvents::balloon(uint64_t bytes) {
    return wait(balloon_at(bytes));
}
std::optional<Clock::time_point> QemuEvents::device_size(const std::string& alias, uint64_t bytes) {
    return wait(size_of(alias, bytes));
}
std::optional<Clock::time_point> QemuEvents::device_added(const std::string& alias) {
    return wait(added(alias));
}
std::optional<Clock::time_point> QemuEvents::device_removed(const std::string& alias) {
    return wait(removed(alias));
}

}  // namespace gpremap
