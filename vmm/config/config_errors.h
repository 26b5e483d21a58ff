// Collects what is wrong with a file, so that one run of `check` shows all of it.
#pragma once

#include <string>

#include "vmm/base/errors.h"

namespace gpremap {

class ConfigErrors {
  public:
    // Calls `read`, and keeps the message of a ConfigError that it throws.
    template <typename Read>
    void collect(Read read) {
        try {
            read();
        } catch (const ConfigError& error) {
            all_ += (all_.empty() ? "" : "\n") + std::string(error.what());
        }
    }

    void throw_if_any() const {
        if (!all_.empty()) throw ConfigError(all_);
    }

  private:
    std::string all_;
};

}  // namespace gpremap
