#include "vmm/verbs/run_files.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdio>
#include <utility>

#include "vmm/base/errors.h"
#include "vmm/report/json.h"
#include "vmm/report/workloads.h"
#include "vmm/verbs/options.h"

namespace gpremap {

RunFiles::RunFiles(const std::string& json, const std::string& csv, Followed followed) : json_(json) {
    if (json_.is_regular())
        journal_path_ = journal_beside(json);
    else if (followed == Followed::yes)
        keep_journal_in_memory();
    if (!csv.empty()) csv_.emplace("--csv", csv);
}

// Where the run leaves none, and somebody follows it.
void RunFiles::keep_journal_in_memory() {
    memory_ = Descriptor(memfd_create("journal", MFD_CLOEXEC));
    if (!memory_.valid()) throw_errno("memfd_create");
    journal_path_ = fmt::format("/proc/self/fd/{}", memory_.get());
}

void RunFiles::begin(const RunResult& run) {
    if (journal_path_.empty()) return;
    journal_.emplace(journal_path_);
    journal_->begin(run);
    if (run.pinning.note) journal_->note(*run.pinning.note);
    for (const std::string& warning : run.warnings) journal_->warning(warning);
}

void RunFiles::add(const StepResult& step, unsigned vcpus) {
    if (journal_) journal_->step(step, vcpus);
}

void RunFiles::add(const MapRecord::Map& map, uint64_t t_ns) {
    if (journal_) journal_->map(map, t_ns);
}

void RunFiles::add(const WorkloadSeries& rows) {
    for (size_t row = 0; journal_ && row < rows.t_ns.size(); row++) journal_->sample(rows, row);
}

int RunFiles::finish(const RunResult& run, const Interruption& interruption) {
    if (journal_) journal_->end(run, interruption.requested().has_value());
    int status = run.is_as_expected() ? 0 : 1;
    if (csv_) status = write_result(*csv_, csv_of(run.series), status);
    auto text = [&](Ended ended) { return text_of(run, ended); };
    return gpremap::finish(json_, text, interruption, status);
}

Onlookers::Onlookers(Machine& machine, RunFiles& files, LiveView& view)
    : files_(files),
      view_(view),
      maps_([&machine] { return machine.remapper().map(); },
            [this](const MapRecord::Map& map, uint64_t t_ns) {
                files_.add(map, t_ns);
                view_.add(map);
            }) {}

void Onlookers::add(const WorkloadSeries& rows) {
    files_.add(rows);
    view_.add(rows);
}

void Onlookers::watch(StepWatcher& watcher, unsigned vcpus) {
    watcher.begins = [this, show = watcher.begins](const StepResult& step) {
        show(step);
        maps_.before(step);
    };
    watcher.done = [this, vcpus, print = watcher.done](const StepResult& step) {
        files_.add(step, vcpus);
        maps_.after(step);
        print(step);
    };
}

std::optional<PageServer> serve_page(std::optional<LoopbackListener>& listener, const RunFiles& files) {
    if (!listener) return std::nullopt;
    fmt::print(stderr, "watch this run at {}\n", listener->url);
    return std::optional<PageServer>(std::in_place, std::move(*listener), files.journal_path());
}

}  // namespace gpremap
