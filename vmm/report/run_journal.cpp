#include "vmm/report/run_journal.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vmm/report/json.h"

namespace gpremap {

namespace {

JsonObject line_of(const char* event, const JsonObject& rest) {
    JsonObject line = {{"event", event}};
    line.update(rest);
    return line;
}

}  // namespace

std::string journal_beside(const std::string& result) {
    constexpr std::string_view ending = ".json";
    std::string stem = result;
    if (stem.ends_with(ending)) stem.resize(stem.size() - ending.size());
    return stem + ".jsonl";
}

// Without waiting for the reader of a pipe that has that name.
RunJournal::RunJournal(const std::string& path)
    : path_(path),
      file_(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666)) {
    if (!file_.valid()) give_up(errno);
}

void RunJournal::begin(const RunResult& run) {
    write(line_of("begin", head_of(run, "gpremap.journal/1")));
}

void RunJournal::step(const StepResult& step, unsigned vcpus) {
    write(line_of("step", json_of(step, vcpus)));
}

void RunJournal::note(std::string_view text) {
    write({{"event", "note"}, {"text", text}});
}

void RunJournal::warning(std::string_view text) {
    write({{"event", "warning"}, {"text", text}});
}

void RunJournal::sample(const WorkloadSeries& series, size_t row) {
    write({{"event", "sample"},
           {"workload", series.workload},
           {"vcpu", series.vcpu},
           {"t_ns", series.t_ns.at(row)},
           {"ops", series.ops.at(row)},
           {"bytes", series.bytes.at(row)},
           {"max_ns", series.max_ns.at(row)}});
}

void RunJournal::map(const std::vector<MapEntry>& map, uint64_t t_ns) {
    write({{"event", "map"}, {"t_ns", t_ns}, {"map", json_of(map)}});
}

void RunJournal::end(const RunResult& run, bool interrupted) {
    write({{"event", "end"},
           {"summary", summary_of(run)},
           {"interrupted", interrupted},
           {"died", run.died.empty() ? JsonObject(nullptr) : JsonObject(run.died)},
           {"host_error", run.host_error.empty() ? JsonObject(nullptr) : JsonObject(run.host_error)}});
}

void RunJournal::write(const JsonObject& line) {
    std::lock_guard lock(mutex_);
    if (!file_.valid()) return;
    const std::string text = line.dump(-1, ' ', false, JsonObject::error_handler_t::replace) + '\n';
    const ssize_t written = ::write(file_.get(), text.data(), text.size());
    if (written == static_cast<ssize_t>(text.size())) return;
    give_up(written < 0 ? errno : ENOSPC);  // part of a line is all that a full disk takes
    file_ = Descriptor();
}

void RunJournal::give_up(int error) {
    spdlog::warn("{}: the journal of this run cannot be written: {}; it goes on without", path_,
                 std::strerror(error));
}

}  // namespace gpremap
