// The other end of the socket: what `gpremap ctl` speaks with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vmm/base/descriptor.h"
#include "vmm/base/json_file.h"

namespace gpremap {

class ControlClient {
  public:
    // Connects, and reads the greeting. Throws HostLacks where nobody listens at `path`, ConfigError for a path that
    // cannot be one or a server of another version.
    explicit ControlClient(const std::string& path);

    // The answer: with `result` or `error`. Throws HostLacks where the connection ends first.
    JsonObject call(const std::string& method, const JsonObject& arguments);
    // The next message that is no answer; nothing at the end.
    std::optional<JsonObject> next();

  private:
    std::optional<std::string> read_line();

    const std::string path_;
    Descriptor socket_;
    std::string in_;
    unsigned calls_ = 0;
};

// "key=value": the value is JSON where it can be read as such, and else a text. Throws ConfigError.
JsonObject arguments_of(const std::vector<std::string>& words);

}  // namespace gpremap
