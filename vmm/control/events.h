// What has happened in a run, in a ring: the last events, each with its number, for clients that come late.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmm/base/json_file.h"

namespace gpremap {

// By any thread.
class EventRing {
  public:
    static constexpr size_t capacity = 16384;

    // `wake` is called after each event, by the thread that tells it, and must not wait for anybody.
    explicit EventRing(std::function<void()> wake) : wake_(std::move(wake)) {}

    // `t_ns` is since the run's first step began. Waits for no client: what is oldest goes.
    void tell(std::string_view kind, uint64_t t_ns, const JsonObject& body);

    // Lines of the protocol, from number `from` on: as many as come to about `most` bytes. Nothing where some of
    // them are gone.
    std::optional<std::vector<std::string>> from(uint64_t from, size_t most) const;
    uint64_t oldest() const;
    uint64_t next() const;

  private:
    std::function<void()> wake_;
    mutable std::mutex mutex_;  // guards what follows
    uint64_t first_ = 0;        // the number of the oldest
    std::deque<std::string> lines_;
};

}  // namespace gpremap
