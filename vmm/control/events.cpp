#include "vmm/control/events.h"

#include "vmm/control/protocol.h"

namespace gpremap {

void EventRing::tell(std::string_view kind, uint64_t t_ns, const JsonObject& body) {
    {
        const std::lock_guard lock(mutex_);
        JsonObject event = {{"seq", first_ + lines_.size()}, {"t_ns", t_ns}, {"kind", kind}};
        event.update(body);
        lines_.push_back(line_of(notification("event", std::move(event))));
        if (lines_.size() > capacity) {
            lines_.pop_front();
            first_++;
        }
    }
    wake_();
}

std::optional<std::vector<std::string>> EventRing::from(uint64_t from, size_t most) const {
    const std::lock_guard lock(mutex_);
    if (from < first_) return std::nullopt;
    std::vector<std::string> found;
    size_t bytes = 0;
    for (uint64_t i = from - first_; i < lines_.size() && bytes < most; i++) {
        found.push_back(lines_[i]);
        bytes += lines_[i].size();
    }
    return found;
}

uint64_t EventRing::oldest() const {
    const std::lock_guard lock(mutex_);
    return first_;
}

uint64_t EventRing::next() const {
    const std::lock_guard lock(mutex_);
    return first_ + lines_.size();
}

}  // namespace gpremap
