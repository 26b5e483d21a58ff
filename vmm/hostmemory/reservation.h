// Host address space for one VM's window, and for its annex of the same size.
//
// It lies where the kernel does not look for a place of its own accord, so that the holes that a move leaves in the
// window for a moment are not taken by somebody else's mmap: a malloc arena there would become guest memory. That
// search goes from the top down and finds one, far above; without a limit to the stack (ulimit -s unlimited) it
// begins in the midst of what is drawn here; window and annex then lie 1 TiB away from that place.
//
//     | ... 16 TiB | window ........ | annex ........ | next VM's | ... 80 TiB |   heap, libraries, stacks
//                    PROT_NONE         nothing mapped
#pragma once

#include <cstddef>
#include <cstdint>

namespace gpremap {

class Reservation {
  public:
    // Throws HostLacks where that much address space is not free, with the annex: nothing is mapped there yet.
    explicit Reservation(uint64_t size);
    ~Reservation();
    Reservation(const Reservation&) = delete;
    Reservation& operator=(const Reservation&) = delete;

    // Both are aligned to 1 GiB.
    std::byte* window() const { return base_; }
    std::byte* annex() const { return base_ + size_; }
    uint64_t size() const { return size_; }

  private:
    uint64_t size_;
    std::byte* base_;
};

}  // namespace gpremap
