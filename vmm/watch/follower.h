// A journal, followed while it is written.
#pragma once

#include <cstdint>
#include <string>

#include "vmm/base/descriptor.h"
#include "vmm/base/json_file.h"
#include "vmm/page/reading.h"

namespace gpremap {

class JournalFollower {
  public:
    // The file may not be there yet.
    explicit JournalFollower(std::string path);

    // Of all lines that are whole by now, contents.h has the keys; and `state`, in words, and `has_ended`. Reads what
    // has come since the last time. Throws nlohmann::json::exception where it is no journal.
    JsonObject contents();
    bool has_ended() const { return reading_.has_ended(); }

  private:
    void read();
    std::string state() const;

    std::string path_;
    Descriptor file_;
    std::string rest_;  // of a line that is not whole
    JournalReading reading_;
};

}  // namespace gpremap
