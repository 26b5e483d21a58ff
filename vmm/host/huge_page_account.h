// What a VM has taken of the host's pool of huge pages, and not given back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "vmm/host/facts.h"

namespace gpremap {

// "64 pages of 2 MiB, 12 free, 2 promised to mappings"; `size` of one in bytes.
std::string describe(const HugePages& pages, uint64_t size);

// Compares the pool with what it was when this was made. Pages that are in use or promised count, and not how
// large the pool is: whoever changes that takes or gives free ones.
class HugePageAccount {
  public:
    // Of huge pages of `size` bytes; of 0 bytes, and of a size that the host does not have, it finds nothing.
    explicit HugePageAccount(uint64_t size);

    // Nothing where the pool has all back, else a message with the numbers before and after. The pool is
    // everybody's: another process may use it for a moment, so this looks again for a second. What is then
    // still other than before may be another process's all the same, and the message says so.
    std::optional<std::string> difference() const;

  private:
    uint64_t size_;
    std::optional<HugePages> before_;
};

}  // namespace gpremap
