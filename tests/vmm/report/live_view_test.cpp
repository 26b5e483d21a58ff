// What a terminal is shown of a run, and that what is no terminal is shown nothing.
#include "vmm/report/live_view.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>

namespace gpremap {
namespace {

// What `act` writes to standard error while that is a terminal with such variables.
std::string shown_by(const std::function<void()>& act, const char* term, const char* columns) {
    int master = -1, slave = -1;
    EXPECT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
    setenv("TERM", term, 1);
    setenv("COLUMNS", columns, 1);
    const int old = dup(STDERR_FILENO);
    dup2(slave, STDERR_FILENO);
    act();
    dup2(old, STDERR_FILENO);
    close(old);
    close(slave);
    // What was written arrives in parts, and later. Behind its last byte comes EIO, for nobody has the other end.
    std::string text;
    char part[4096];
    for (ssize_t size; (size = read(master, part, sizeof(part))) > 0;)
        text.append(part, static_cast<size_t>(size));
    close(master);
    return text;
}

WorkloadSeries two_seconds() {
    WorkloadSeries rows;
    rows.workload = "stream";
    for (uint64_t row = 1; row <= 200; row++) {
        rows.t_ns.push_back(row * 10'000'000);
        rows.ops.push_back(10);
        rows.bytes.push_back(row < 100 ? 60'000'000 : 6'000'000);
        rows.max_ns.push_back(1234);
    }
    return rows;
}

void show_a_run() {
    LiveView view(3, ShowProgress::yes);
    std::vector<MapEntry> map(2);
    map[0].at = uint64_t{4} << 30;
    map[0].size = 256 << 20;
    map[1].at = uint64_t{8} << 30;
    map[1].size = 1 << 20;
    view.add(two_seconds());
    view.add(map);
    view.begin("resize heap 320 MiB");
    view.advance();
}

// Without what moves the cursor or erases.
std::vector<std::string> lines_in(const std::string& text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\x1b')
            i = text.find_first_of("ABCDJKm", i);
        else if (text[i] != '\r')
            plain += text[i];
    }
    std::vector<std::string> lines;
    std::istringstream stream(plain);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

TEST(LiveView, ShowsStepThroughputAndMap) {
    const auto lines = lines_in(shown_by(show_a_run, "xterm", "120"));
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0], "[....................] 1/3 resize heap 320 MiB");
    EXPECT_NE(lines[1].find("600 MB/s  longest 1.23 us  @"), std::string::npos) << lines[1];
    EXPECT_NE(lines[2].find("257 MiB in 2 ranges  [kkk"), std::string::npos) << lines[2];
}

TEST(LiveView, FitsAnyWidth) {
    for (const char* columns : {"1", "2", "10", "40", "79", "200"})
        for (const std::string& line : lines_in(shown_by(show_a_run, "xterm", columns)))
            EXPECT_LT(line.size(), std::max(2ul, std::stoul(columns))) << columns << ": " << line;
}

TEST(LiveView, TakesAwayWhatItHasShown) {
    const std::string text = shown_by(show_a_run, "xterm", "100");
    EXPECT_TRUE(text.ends_with("\r\x1b[2A\x1b[J")) << text;
}

TEST(LiveView, HasNoColours) {
    EXPECT_EQ(shown_by(show_a_run, "xterm", "100").find("\x1b[3"), std::string::npos);
}

TEST(LiveView, ShowsNothingToADumbTerminal) {
    EXPECT_EQ(shown_by(show_a_run, "dumb", "100"), "");
    EXPECT_EQ(shown_by(show_a_run, "", "100"), "");
}

TEST(LiveView, DrawsNothingBeforeAStepNorBehindItsEnd) {
    auto act = [] {
        LiveView view(2, ShowProgress::yes);
        view.add(two_seconds());
        view.begin("one");
        view.clear();
        view.add(two_seconds());
        view.add(std::vector<MapEntry>(1));
    };
    const std::string text = shown_by(act, "xterm", "100");
    EXPECT_TRUE(text.ends_with("\x1b[J")) << text;
    EXPECT_EQ(text.find("map"), std::string::npos);
}

}  // namespace
}  // namespace gpremap
