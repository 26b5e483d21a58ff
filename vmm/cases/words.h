// How a case file writes addresses and sizes: in granules (P) and bytes (B), from the window or the aperture's
// end. Where those lie, the names below say when the case runs.
#pragma once

#include "vmm/calls/words.h"

namespace gpremap {

// What addresses count from: ranges that every case has.
inline constexpr std::string_view window_name = "window";
inline constexpr std::string_view aperture_end_name = "end";

class CaseWords : public Words {
  public:
    // `granule`, in bytes, decides which numbers of granules are below 2^64 bytes.
    explicit CaseWords(uint64_t granule) : granule_(granule) {}

    Operand address(const TomlValue& value) const override;
    Operand size(const TomlValue& value) const override;
    std::string_view address_hint() const override;
    std::string_view size_hint() const override;
    bool names_ranges() const override { return false; }

  private:
    uint64_t granule_;
};

// Whether so many granules are less than 2^64 bytes. A case that states no granule is read with the smallest
// and may run with another.
bool fits(const Operand& operand, uint64_t granule);

}  // namespace gpremap
