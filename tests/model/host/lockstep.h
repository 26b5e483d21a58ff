// The model and the host's kernel side by side: every call is made on both, and everything that can be seen
// of it is compared.
#pragma once

#include <string>
#include <string_view>

#include "remap/model_memory.h"
#include "tests/model/host/host_window.h"

namespace host_oracle {

// Reasons to leave a call out, besides the listed divergences (vmm/divergences.h).
inline constexpr std::string_view several_mappings = "several-mappings-before-6.17";
// Linux unlocks the whole mapping of which DONTUNMAP takes a part; here a lock moves with its pages, and what
// is left beside them keeps its own.
inline constexpr std::string_view leaves_locked = "dontunmap-of-locked";
// Linux leaves what DONTUNMAP leaves behind apart from neighbours that nothing tells it from, until some
// later call has reason to look at it; here equal neighbours are one.
inline constexpr std::string_view left_apart = "dontunmap-leaves-apart";

struct Outcome {
    enum class Kind {
        same,
        left_out,   // a listed divergence, or beyond this kernel: the call was made on neither side
        half_done,  // Linux stopped half-way with the same errno; the two are no longer alike
        full,       // what the calls built fills the window: nothing more can be compared
        different,
    };
    Kind kind = Kind::same;
    std::string_view reason;  // of left_out
    std::string difference;
};

class Lockstep {
  public:
    enum class Several { moved, left_out };  // calls that move several mappings at once

    // `lock_limit`: in pages. Throws std::system_error where the host cannot be held to it.
    Lockstep(HostWindow& host, remap::FreshMemory fresh, Several several, uint64_t lock_limit);
    ~Lockstep();
    Lockstep(const Lockstep&) = delete;
    Lockstep& operator=(const Lockstep&) = delete;

    Outcome make(const LinuxCall& call);

    const remap::Space& space() const { return space_; }
    // As `before` of a case file has it, one character for each page of the window and its surroundings
    // as far as something is mapped there; bars where the kernel has mappings meet.
    std::string picture() const;
    std::string attributes() const;

  private:
    Outcome store(const LinuxCall& call);
    std::optional<std::string_view> reason_to_leave_out(const LinuxCall& call) const;
    bool leaves_some_locked(const LinuxCall& call) const;
    bool joins_what_is_left(const LinuxCall& call) const;
    bool is_half_done(const LinuxCall& call);
    bool is_beyond_kernel(const LinuxCall& call) const;
    std::string compare_results(const LinuxCall& call, const remap::Answer& model, int64_t host);
    void carry_out(const LinuxCall& call, const remap::Answer& model, int64_t host);
    std::string compare_state();
    enum class Seams { compared, ignored };  // between neighbours with equal rights
    std::string compare_layout(const std::vector<HostMapping>& host, Seams seams) const;
    std::string compare_contents(const std::vector<HostMapping>& host) const;
    std::string compare_locked() const;
    void touch_fresh_pages(const std::vector<HostMapping>& host);

    HostWindow& host_;
    Several several_;
    remap::Space space_;
    remap::ModelMemory memory_;
    uint64_t last_value_ = 0;
};

}  // namespace host_oracle
