// Who works on the guest's ranges: steps, side by side on their tracks, or a call from outside of the steps, alone.
//
//     track     [ step ][ step ]         [ step ]
//     track      [ step    ]              [   step  ]
//     outside                   [ call ]
//
// In the order in which they ask: neither many steps nor many calls keep the others waiting for ever.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace gpremap {

class Floor {
  public:
    // Held while somebody is at work.
    class Turn {
      public:
        Turn(Turn&& other) noexcept : floor_(std::exchange(other.floor_, nullptr)) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn() {
            if (floor_) floor_->end();
        }

      private:
        friend class Floor;
        explicit Turn(Floor* floor) : floor_(floor) {}
        Floor* floor_;
    };

    // `look` is called now and then while it waits, without the lock, and may throw what ends the wait.
    Turn step(const std::function<void()>& look);
    // Nothing where `gives_up` has come true meanwhile.
    std::optional<Turn> alone(const std::function<bool()>& gives_up);

  private:
    enum class Kind { step, alone };
    using Lock = std::unique_lock<std::mutex>;

    // Whether it has come to the turn's begin; else to the end of a short wait.
    bool wait_for_turn(uint64_t ticket, Kind kind);
    uint64_t queue();
    void give_up(uint64_t ticket);
    void end();

    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::deque<uint64_t> waiting_;  // tickets, in their order
    uint64_t next_ticket_ = 0;
    unsigned at_work_ = 0;
    bool is_alone_ = false;  // the one that is at work is no step
};

}  // namespace gpremap
