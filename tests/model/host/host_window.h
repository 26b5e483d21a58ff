// A vacant part of this process's own address space, in which Linux calls are made for real.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/model/host/linux_call.h"

namespace host_oracle {

// One of the kernel's mappings, in absolute addresses.
struct HostMapping {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint8_t prot = 0;
    bool shared = false;

    friend bool operator==(const HostMapping&, const HostMapping&) = default;
};

class HostWindow {
  public:
    // Throws std::system_error where a file of /proc/self cannot be opened.
    HostWindow();
    ~HostWindow();
    HostWindow(const HostWindow&) = delete;
    HostWindow& operator=(const HostWindow&) = delete;

    uint64_t base() const { return base_; }
    uint64_t end() const { return base_ + aperture_pages * page; }

    // Makes the call; what it returned, or -errno.
    int64_t make(const LinuxCall& call) const;
    // Moves what a call has put outside the window to where the model put it. Throws where that fails.
    void bring_back(uint64_t from, uint64_t size, uint64_t to) const;

    // How much of this process may be locked from now on, also where it has the privilege to lock anything,
    // which it then gives up. Throws std::system_error where Linux refuses.
    void limit_locked(uint64_t bytes) const;
    // Bytes of this process that are locked.
    uint64_t locked() const;

    std::vector<HostMapping> mappings() const;

    // Of a mapped page, whatever its rights.
    uint64_t read(uint64_t at, const HostMapping& mapping) const;
    void write(uint64_t at, uint64_t value, const HostMapping& mapping) const;

    // Vacates the window. Where something in it is sealed, the window moves on instead.
    void clear();

  private:
    uint64_t base_;
    int memory_;
    int maps_;
    int status_;
};

// Whether this kernel moves several mappings in one call (Linux 6.17).
bool moves_several_mappings();

}  // namespace host_oracle
