// What a page shows, read from results and journals.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmm/page/run.h"

namespace gpremap {

// Of results of `run`, `merge` and `bench`, and of journals of runs, whole or cut short. Each gets a name of its own:
// that of its file, with as much of the path as tells it from the others. Throws ConfigError for anything else, with the
// file and what was expected.
std::vector<ShownRun> read_shown_runs(const std::vector<std::string>& paths);

// A run as its journal tells it, line by line.
class JournalReading {
  public:
    explicit JournalReading(std::string name);

    // A whole line, without its end. Throws nlohmann::json::exception, or ConfigError, where it is not what schema
    // gpremap.journal/1 says.
    void add(std::string_view line);
    bool has_begun() const { return has_begun_; }
    bool has_ended() const { return has_ended_; }
    const ShownRun& run() const { return run_; }

  private:
    ShownSeries& series_of(const JsonObject& line);
    void end(const JsonObject& line);

    ShownRun run_;
    bool has_begun_ = false;
    bool has_ended_ = false;
};

}  // namespace gpremap
