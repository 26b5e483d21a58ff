// One Linux call on a window of address space, to be made on the model and on the host alike.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "remap/linux.h"

namespace host_oracle {

inline constexpr uint64_t page = 4096;

// Where calls play. Both the model's aperture and the vacant part of the host's address space are
// `aperture_pages`; generated addresses lie in the first `window_pages`, so that what grows at its end, or
// is placed freely, still fits.
inline constexpr uint64_t window_pages = 16;
inline constexpr uint64_t aperture_pages = 192;
inline constexpr uint64_t largest_pages = 24;

// Addresses and sizes from here on are beyond everything for any x86-64 kernel, and for the model.
inline constexpr uint64_t beyond = uint64_t{1} << 56;

struct LinuxCall {
    enum class Kind {
        mremap,
        mmap,
        munmap,
        mprotect,
        madvise,
        mlock,
        munlock,
        mseal,
        store,  // not a call: the page at `at` is written, where it can be
    };
    Kind kind = Kind::mremap;
    // Addresses are relative to the window, and may have wrapped.
    uint64_t at = 0;
    uint64_t len = 0;
    uint64_t new_len = 0;  // mremap
    uint64_t flags = 0;    // mremap, mmap, mseal; the advice of madvise
    uint64_t to = 0;       // mremap
    uint64_t prot = 0;     // mmap, mprotect

    friend bool operator==(const LinuxCall&, const LinuxCall&) = default;
};

// The arguments as a case file has them.
std::string text(const LinuxCall& call);

// An address relative to the window, and a size, as a case file has them.
std::string address_text(uint64_t relative);
std::string size_text(uint64_t size);

// A random call that is likely to find something at work in `space`, whose aperture begins the window.
LinuxCall random_call(std::mt19937_64& random, const remap::Space& space);

}  // namespace host_oracle
