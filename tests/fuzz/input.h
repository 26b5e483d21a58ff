// What a fuzzer makes of the bytes that it is given: one after the other, and zeros behind their end.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

#include "vmm/base/errors.h"

namespace fuzz {

class Input {
  public:
    Input(const uint8_t* data, size_t size) : rest_(data, size) {}

    bool is_at_end() const { return rest_.empty(); }

    template <typename T>
    T take() {
        T value{};
        const size_t taken = std::min(sizeof value, rest_.size());
        std::memcpy(&value, rest_.data(), taken);
        rest_ = rest_.subspan(taken);
        return value;
    }

    template <typename Range>
    const auto& one_of(const Range& values) {
        return values[take<uint8_t>() % std::size(values)];
    }

    // An address or a size: most often a small number of granules from `base`, else any number.
    uint64_t number(uint64_t base, uint64_t granule) {
        const auto byte = take<uint8_t>();
        if (byte >= 0xf0) return take<uint64_t>();
        return base + byte % 20 * granule;
    }

  private:
    std::span<const uint8_t> rest_;
};

// Ends the program, so that the fuzzer keeps what led to it.
[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

// How many calls a run has made, told at its end.
inline void count_call() {
    static uint64_t calls = 0;
    if (calls++ == 0)
        std::atexit([] { std::fprintf(stderr, "calls: %llu\n", static_cast<unsigned long long>(calls)); });
}

// One file for all inputs, in memory.
inline std::string file_with(const uint8_t* data, size_t size) {
    static const int descriptor = memfd_create("result", 0);
    if (descriptor < 0 || ftruncate(descriptor, 0) != 0 ||
        pwrite(descriptor, data, size, 0) != static_cast<ssize_t>(size))
        fail("the file cannot be written");
    return "/proc/self/fd/" + std::to_string(descriptor);
}

// For what reads any text, or refuses it in words.
template <typename Read>
int read_text(const uint8_t* data, size_t size, Read read) {
    try {
        read(std::string(reinterpret_cast<const char*>(data), size));
    } catch (const gpremap::ConfigError&) {
    }
    return 0;
}

}  // namespace fuzz
