// The names that a scenario gives to ranges. A range keeps its name when a call moves it.
//
//     define("heap", 4 GiB, 256 MiB)      heap = [4 GiB, +256 MiB)
//     relocate(4 GiB, 256 MiB -> 16 GiB, 512 MiB)
//                                         heap = [16 GiB, +512 MiB)
//
// Used when a scenario is checked, on addresses that are made up, and when it runs. The places that the
// addresses of a case file count from have names, too.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace gpremap {

struct NamedRange {
    enum class State { mapped, unmapped };
    uint64_t at = 0;          // bytes, guest-physical
    uint64_t size = 0;        // bytes
    uint64_t first_page = 0;  // of a stamp: an alias of page 5 onwards counts from 5
    State state = State::mapped;
};

class Names {
  public:
    // `granule`, in bytes, is what the operands of a case file count in.
    explicit Names(uint64_t granule = 0) : granule_(granule) {}

    uint64_t granule() const { return granule_; }

    // nullptr where no step has defined it. What a call unmapped keeps its name and its place, so that
    // a later access can show that it faults.
    const NamedRange* find(const std::string& name) const;

    void define(const std::string& name, const NamedRange& range) { ranges_[name] = range; }

    // How many of the `most` bytes from `at` on lie in mapped ranges, one beside the other, before the first
    // that does not.
    uint64_t mapped_from(uint64_t at, uint64_t most) const;

    // Whether any of [at, at + size) lies in a mapped range.
    bool has_mapped(uint64_t at, uint64_t size) const;

    // [from, from + size) is now [to, to + new_size). Names inside of it follow; one that was all of it
    // also gets the new size. Names that the destination buries become unmapped.
    void relocate(uint64_t from, uint64_t size, uint64_t to, uint64_t new_size);

    // Nothing is mapped any more in [at, at + size): names inside become unmapped.
    void unmap(uint64_t at, uint64_t size);

    // [a, a + size) and [b, b + size) changed places.
    void exchange(uint64_t a, uint64_t b, uint64_t size);

  private:
    uint64_t granule_;
    std::map<std::string, NamedRange> ranges_;
};

}  // namespace gpremap
