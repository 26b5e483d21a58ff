// What a run leaves behind, and who is told of it as it goes on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "vmm/base/descriptor.h"
#include "vmm/base/interruption.h"
#include "vmm/base/json_file.h"
#include "vmm/base/output_file.h"
#include "vmm/machine/machine.h"
#include "vmm/report/live_view.h"
#include "vmm/report/map_record.h"
#include "vmm/report/run_journal.h"
#include "vmm/report/run_result.h"
#include "vmm/scenario/step_runner.h"
#include "vmm/watch/server.h"
#include "vmm/workloads/result.h"

namespace gpremap {

// The files beside the table.
class RunFiles {
  public:
    enum class Followed { no, yes };  // by a page, which needs a journal

    // `json` and `csv`: paths, or empty. Throws ConfigError where one of them cannot be written.
    RunFiles(const std::string& json, const std::string& csv, Followed followed);

    const std::string& journal_path() const { return journal_path_; }

    // To be called when the run begins: an older journal goes then.
    void begin(const RunResult& run);
    void add(const StepResult& step, unsigned vcpus);
    void add(const MapRecord::Map& map, uint64_t t_ns);
    void add(const WorkloadSeries& rows);
    // Returns the exit status of the run.
    int finish(const RunResult& run, const Interruption& interruption);

  private:
    void keep_journal_in_memory();

    JsonFile json_;
    Descriptor memory_;
    std::string journal_path_;  // empty: there is none
    std::optional<OutputFile> csv_;
    std::optional<RunJournal> journal_;
};

// Who is told of a run as it goes on: its files, and whoever sits at the terminal.
class Onlookers {
  public:
    // All must outlive it.
    Onlookers(Machine& machine, RunFiles& files, LiveView& view);

    void add(const WorkloadSeries& rows);
    // What `watcher` is told, these are, too. They live as long as it does.
    void watch(StepWatcher& watcher, unsigned vcpus);
    const std::optional<MapRecord::Map>& map_before() const { return maps_.first(); }

  private:
    RunFiles& files_;
    LiveView& view_;
    MapRecord maps_;
};

// Where somebody listens: the page that follows the journal of the run.
std::optional<PageServer> serve_page(std::optional<LoopbackListener>& listener, const RunFiles& files);

}  // namespace gpremap
