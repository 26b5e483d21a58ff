// What the kernel records of one of its trace points, in a buffer of its own.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace gpremap {

class KernelEvents {
  public:
    // `event` is a folder of /sys/kernel/tracing/events, such as "tlb/tlb_flush".
    explicit KernelEvents(const std::string& event) {
        std::error_code refused;
        std::filesystem::create_directory(folder_, refused);
        std::ofstream enable(folder_ / "events" / event / "enable");
        works_ = static_cast<bool>(enable << 1 << std::flush);
    }
    ~KernelEvents() {
        std::error_code ignored;
        std::filesystem::remove(folder_, ignored);  // not recursively: its files are the kernel's
    }
    KernelEvents(const KernelEvents&) = delete;
    KernelEvents& operator=(const KernelEvents&) = delete;

    bool works() const { return works_; }
    void clear() { std::ofstream(folder_ / "trace") << std::flush; }
    // How many lines there have been since clear() that `counts` is true of.
    template <class Counts>
    uint64_t count(Counts counts) const {
        uint64_t found = 0;
        std::ifstream trace(folder_ / "trace");
        for (std::string line; std::getline(trace, line);) found += counts(line) ? 1 : 0;
        return found;
    }

  private:
    const std::filesystem::path folder_ = "/sys/kernel/tracing/instances/gpremap-" + std::to_string(getpid());
    bool works_ = false;
};

}  // namespace gpremap
