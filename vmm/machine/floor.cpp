#include "vmm/machine/floor.h"

#include <algorithm>
#include <chrono>

namespace gpremap {

uint64_t Floor::queue() {
    const Lock lock(mutex_);
    waiting_.push_back(next_ticket_);
    return next_ticket_++;
}

void Floor::give_up(uint64_t ticket) {
    const Lock lock(mutex_);
    std::erase(waiting_, ticket);
    changed_.notify_all();
}

bool Floor::wait_for_turn(uint64_t ticket, Kind kind) {
    constexpr auto shortly = std::chrono::milliseconds(20);
    Lock lock(mutex_);
    const bool is_next = changed_.wait_for(lock, shortly, [&] {
        return waiting_.front() == ticket && (kind == Kind::step ? !is_alone_ : at_work_ == 0);
    });
    if (!is_next) return false;
    waiting_.pop_front();
    at_work_++;
    is_alone_ = kind == Kind::alone;
    changed_.notify_all();
    return true;
}

Floor::Turn Floor::step(const std::function<void()>& look) {
    const uint64_t ticket = queue();
    while (!wait_for_turn(ticket, Kind::step)) {
        try {
            look();
        } catch (...) {
            give_up(ticket);
            throw;
        }
    }
    return Turn(this);
}

std::optional<Floor::Turn> Floor::alone(const std::function<bool()>& gives_up) {
    const uint64_t ticket = queue();
    while (!wait_for_turn(ticket, Kind::alone)) {
        if (!gives_up()) continue;
        give_up(ticket);
        return std::nullopt;
    }
    return Turn(this);
}

void Floor::end() {
    const Lock lock(mutex_);
    at_work_--;
    is_alone_ = false;
    changed_.notify_all();
}

}  // namespace gpremap
