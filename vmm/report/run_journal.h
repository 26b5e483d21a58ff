// A run as it goes on, in JSON Lines: what a program that was killed leaves behind. docs/results.md has the format.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

#include "vmm/base/descriptor.h"
#include "vmm/base/json_file.h"
#include "vmm/report/run_result.h"

namespace gpremap {

// "r.json" -> "r.jsonl", "result" -> "result.jsonl"
std::string journal_beside(const std::string& result);

// Every line is with the kernel when its function returns, whatever becomes of this program afterwards. A file that
// takes no more ends the journal, with a warning in the log, and not the run. Any thread may write.
class RunJournal {
  public:
    // Replaces an older journal. One that cannot be written is a warning in the log.
    explicit RunJournal(const std::string& path);

    // The first line: what is known before the first step.
    void begin(const RunResult& run);
    void step(const StepResult& step, unsigned vcpus);
    void note(std::string_view text);
    void warning(std::string_view text);
    // A row of `series`, from 0: the last, as soon as it is there.
    void sample(const WorkloadSeries& series, size_t row);
    // What is mapped at a time, in ns since the first step began.
    void map(const std::vector<MapEntry>& map, uint64_t t_ns);
    // The last line, which a journal that was cut has not.
    void end(const RunResult& run, bool interrupted);

  private:
    void write(const JsonObject& line);
    void give_up(int error);

    std::string path_;
    std::mutex mutex_;
    Descriptor file_;
};

}  // namespace gpremap
