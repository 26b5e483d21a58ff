#include "vmm/watch/follower.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "vmm/page/amounts.h"
#include "vmm/page/contents.h"

namespace gpremap {

JournalFollower::JournalFollower(std::string path) : path_(std::move(path)), reading_("this run") {}

JsonObject JournalFollower::contents() {
    read();
    JsonObject contents = contents_of({reading_.run()}, Following::journal);
    contents["state"] = state();
    contents["has_ended"] = reading_.has_ended();
    return contents;
}

void JournalFollower::read() {
    if (!file_.valid()) file_ = Descriptor(open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!file_.valid()) return;
    std::array<char, 1 << 16> buffer;
    for (ssize_t part; (part = ::read(file_.get(), buffer.data(), buffer.size())) > 0;) {
        rest_.append(buffer.data(), static_cast<size_t>(part));
        size_t begin = 0;
        for (size_t end; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1)
            reading_.add(std::string_view(rest_).substr(begin, end - begin));
        rest_.erase(0, begin);
    }
}

std::string JournalFollower::state() const {
    const ShownRun& run = reading_.run();
    if (!reading_.has_begun()) return "The run has not begun.";
    if (reading_.has_ended())
        return run.cut_short.empty() ? "The run has ended." : "The run has ended: " + run.cut_short + ".";
    double last = 0;
    for (const ShownStep& step : run.steps) last = std::max(last, step.end_ns);
    for (const ShownSeries& series : run.series)
        if (!series.t_ns.empty()) last = std::max(last, series.t_ns.back());
    return fmt::format("Running: {} steps done, {} since the first began.",
                       shown_count(static_cast<double>(run.steps.size())), shown_ns(last));
}

}  // namespace gpremap
