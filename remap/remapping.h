// Every form of mremap: one request::Remap, looked at once and then planned.
#pragma once

#include "remap/draft.h"

namespace remap {

class Remapping {
  public:
    // `space` and `request` must outlive it.
    Remapping(const Space& space, const request::Remap& request);

    // Once.
    tl::expected<Plan, Cause> plan();

  private:
    enum class Kind {
        stay,       // the range keeps its address
        move,       // and its old addresses are vacant then
        leave,      // it moves, and what is left reads zero; what is shared keeps its pages
        duplicate,  // it stays, and the same pages appear once more
    };

    static Kind kind_of(const request::Remap& request, const std::optional<Gpa>& target);

    bool drops_locks() const {
        return kind_ == Kind::duplicate && request_.duplicate_lock == DuplicateLock::dropped;
    }
    bool grows() const { return request_.new_size > source_.size(); }
    Size growth() const { return Size{request_.new_size.bytes - source_.size().bytes}; }
    Extent last_page() const;
    bool source_is_mapped() const;
    bool fits_in_place() const;
    std::optional<Gpa> choose_target() const;
    Range target() const { return Range::of(*target_, request_.new_size); }

    // What speaks against it.
    Facts facts() const;
    void add_facts_of_target(Facts& facts) const;
    bool crosses() const;
    Size locks() const;
    std::vector<Extent> extents_that_end() const;
    std::vector<Extent> replaced() const;

    // The changes. What is bool is false when the object is used up.
    struct Left {
        Extent extent;
        Range mapping;  // that it was part of when its turn came
    };
    [[nodiscard]] bool transfer();
    void move_all();
    [[nodiscard]] bool duplicate_all();
    [[nodiscard]] bool leave_all();
    [[nodiscard]] bool leave_run(const Range& run);
    [[nodiscard]] bool leave_zero(std::vector<Left> left);
    void vacate();
    void vacate_up_to(Gpa end);
    Range mapping_when_its_turn_comes(Gpa at);
    Range at_target(const Range& part) const;
    void move_part(const Range& part);
    [[nodiscard]] bool duplicate(Extent extent);
    [[nodiscard]] bool zero_contents(const Range& range);
    [[nodiscard]] bool map_tail(const Extent& last);

    const Space& space_;
    const request::Remap& request_;
    Range source_;
    Range kept_;                         // the part of the source that survives
    std::optional<Range> dropped_tail_;  // the part behind a smaller new size
    std::optional<Gpa> target_;          // none: there is no room
    Kind kind_;

    Draft draft_;
    Gpa vacated_to_{};  // how much of the target vacate_up_to has done
};

}  // namespace remap
