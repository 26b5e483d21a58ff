// The mechanism `window`: large memslots over reserved host address space; what is mapped where is changed
// by the host mappings under them, and reaches the guest through KVM's MMU notifiers.
//
//     guest-physical   base ....[ extent ]......[ extent ]....
//                       |  same distance from the base  |
//     host window      W .......[ memory ]......[ memory ]....    the rest is PROT_NONE
//     host mirror      M .......................................    nothing; memory that is on its way
//
// vCPUs run on. One that touches memory in motion gets EFAULT from KVM_RUN and asks Remapper::fault, which
// waits for the lock that the call in progress holds.
#pragma once

#include <set>
#include <vector>

#include "vmm/stage2/stage2.h"

namespace gpremap {

class Window final : public Stage2 {
  public:
    // `object` may be mapped by every extent; both must outlive the window. Throws HostLacks.
    Window(Vm& vm, const remap::Range& aperture, const BackingObject& object);

    const char* name() const override { return "window"; }
    bool needs_pause() const override { return false; }

  private:
    int carry_out(const remap::Step& step) override;
    bool can_destroy(const remap::Step& step) const override;
    int destroy(const remap::Step& step) override;

    int make(const remap::step::Map& step);
    int make(const remap::step::View& step);
    int make(const remap::step::Unmap& step);
    int make(const remap::step::Move& step);
    int make(const remap::step::Exchange& step);
    int make(const remap::step::Protect& step);
    int make(const remap::step::Promote& step);
    int make(const remap::step::Privatize& step);
    int make(const remap::step::Copy& step);
    int make(const remap::step::Populate& step);
    int make(const remap::step::Discard& step);
    int make(const remap::step::Free& step);

    std::byte* host(remap::Gpa at) const;
    std::byte* mirror(remap::Gpa at) const;
    int open_slots(const remap::Range& range);
    bool may_leave(uint64_t size) const;
    int close_vacated(const remap::Range& range);
    int displace(const remap::Range& range);
    void allow_writing_at_end(const remap::Range& range, int prot);

    std::set<uint64_t> open_;  // numbers of the chunks of the aperture that have a slot
};

}  // namespace gpremap
