#include "vmm/report/table.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <numeric>
#include <ostream>
#include <utility>

#include "vmm/base/units.h"
#include "vmm/calls/words.h"
#include "vmm/report/move_comparison.h"

namespace gpremap {

namespace {

// Breaks at spaces, and in the middle of what is longer than a line.
std::vector<std::string> wrap(std::string_view text, size_t width) {
    std::vector<std::string> lines;
    while (text.size() > width) {
        size_t space = text.rfind(' ', width);
        size_t end = space == std::string_view::npos || space == 0 ? width : space;
        while (end > 1 && (text[end] & 0xc0) == 0x80) end--;  // not within a character of UTF-8
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
        if (text.front() == ' ') text.remove_prefix(1);
    }
    if (!text.empty() || lines.empty()) lines.emplace_back(text);
    return lines;
}

std::string painted(std::string_view text, std::string_view code, Colour colour) {
    if (colour == Colour::none) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}
constexpr std::string_view red = "1;31";
constexpr std::string_view green = "32";

// "mremap 1 mmap 2"
std::string describe(const SyscallCounts& counts) {
    const std::pair<std::string_view, uint64_t> kinds[] = {
        {"memslot", counts.memslot_ioctls}, {"mremap", counts.mremap},   {"mmap", counts.mmap},
        {"mprotect", counts.mprotect},      {"madvise", counts.madvise}, {"fallocate", counts.fallocate},
        {"copied", counts.copies},
    };
    std::string text;
    for (const auto& [kind, count] : kinds)
        if (count) text += fmt::format("{}{} {}", text.empty() ? "" : " ", kind, count);
    return text.empty() ? "none" : text;
}

std::string describe(const Spread<uint64_t>& ns) {
    return fmt::format("median {}, p99 {}, min {}, max {}", microseconds(ns.median), microseconds(ns.p99),
                       microseconds(ns.min), microseconds(ns.max));
}

std::vector<std::string> cells_of(const StepResult& step) {
    const auto& record = step.record;
    return {std::to_string(step.index),
            step.call,
            step.summary,
            step.ok            ? step.outcome
            : step.skipped_for ? step.problem
                               : "FAILED",
            record ? microseconds(record->call_ns) : "",
            step.guest_ns ? microseconds(step.guest_ns) : "",
            record ? describe(record->syscalls) : "",
            record ? (record->huge_kept ? "yes" : "no") : ""};
}

void print_notes(std::ostream& out, const CallRecord& record) {
    auto note = [&](uint64_t bytes, const char* what) {
        if (bytes > 0) fmt::print(out, "    {} {}\n", format_size(bytes), what);
    };
    note(record.pool.taken, "came from the warm pool");
    note(record.pool.given, "went to the warm pool");
    note(record.pre_faulted, "pre-faulted");
}

}  // namespace

StepTable::StepTable(std::ostream& out, Colour colour, size_t width)
    : out_(out), colour_(colour), columns_(columns_for(width)) {}

std::vector<StepTable::Column> StepTable::columns_for(size_t width) {
    struct Room {
        Column column;
        size_t least, most;  // of the column's width
    };
    // As they stand they take 109, with a space between each two.
    std::vector<Room> rooms{{{"#", 3, Align::right}, 3, 3},
                            {{"call", 10, Align::left}, 10, 10},
                            {{"arguments", 26, Align::left}, 12, 70},
                            {{"result", 22, Align::left}, 12, 40},
                            {{"call us", 9, Align::right}, 9, 9},
                            {{"guest us", 10, Align::right}, 10, 10},
                            {{"system calls", 18, Align::left}, 10, 18},
                            {{"huge", 4, Align::left}, 4, 4}};
    constexpr size_t needed = 4;  // the first ones: a row without arguments and result says nothing
    auto sum = [&](auto of) {
        return std::accumulate(rooms.begin(), rooms.end(), size_t{0},
                               [&](size_t all, const Room& room) { return all + of(room) + 1; });
    };
    auto taken = [&] { return sum([](const Room& room) { return room.column.width; }); };
    while (rooms.size() > needed && sum([](const Room& room) { return room.least; }) > width)
        rooms.pop_back();
    // In turn, so that all that can give room, or take it, do so alike.
    for (bool changes = true; changes;) {
        changes = false;
        for (Room& room : rooms) {
            size_t& own = room.column.width;
            const size_t before = own;
            if (taken() > width && own > room.least) own--;
            if (taken() < width && own < room.most) own++;
            changes |= own != before;
        }
    }
    std::vector<Column> columns;
    for (const Room& room : rooms) columns.push_back(room.column);
    return columns;
}

std::string StepTable::line_of(const std::vector<Column>& columns,
                               const std::vector<std::vector<std::string>>& wrapped, size_t line) {
    std::string text;
    for (size_t i = 0; i < columns.size(); i++) {
        const std::string_view cell = line < wrapped[i].size() ? std::string_view(wrapped[i][line]) : "";
        text += columns[i].align == Align::left ? fmt::format("{:<{}} ", cell, columns[i].width)
                                                : fmt::format("{:>{}} ", cell, columns[i].width);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

void StepTable::print_cells(const std::vector<Column>& columns, const std::vector<std::string>& cells) {
    std::vector<std::vector<std::string>> wrapped;
    size_t lines = 0;
    for (size_t i = 0; i < columns.size(); i++) {
        wrapped.push_back(wrap(cells[i], columns[i].width));
        lines = std::max(lines, wrapped[i].size());
    }
    for (size_t line = 0; line < lines; line++) fmt::print(out_, "{}\n", line_of(columns, wrapped, line));
}

void StepTable::print_header() {
    std::vector<std::string> titles, rules;
    for (const Column& column : columns_) {
        titles.emplace_back(column.title);
        rules.emplace_back(column.width, '-');
    }
    print_cells(columns_, titles);
    fmt::print(out_, "{}\n", fmt::join(rules, " "));
}

void StepTable::print(const StepResult& step) {
    if (!has_header_) print_header();
    has_header_ = true;
    if (step.turns <= few) return print_row(step);
    Turns& turns = unfinished_[step.row];
    turns.add(step);
    if (!step.ok && !step.skipped_for && turns.failed() <= few) print_row(step);
    if (turns.all() < step.turns) return;
    print_turns(turns);
    unfinished_.erase(step.row);
}

void StepTable::print_unfinished() {
    for (const auto& [row, turns] : unfinished_) print_turns(turns);
    unfinished_.clear();
}

// In place of the columns behind the arguments: the times of all turns.
void StepTable::print_turns(const Turns& turns) {
    const StepStatistics statistics = turns.statistics();
    std::string text = fmt::format("{} time{}", statistics.n, statistics.n == 1 ? "" : "s");
    if (turns.failed() > 0) text += fmt::format(", {} FAILED", turns.failed());
    if (turns.skipped() > 0) text += fmt::format(", {} skipped", turns.skipped());
    if (statistics.call_ns) text += "; call us: " + describe(*statistics.call_ns);
    if (statistics.guest_ns) text += "; guest us: " + describe(*statistics.guest_ns);

    constexpr size_t before = 3;  // columns
    std::vector<Column> columns(columns_.begin(), columns_.begin() + before);
    size_t width = 0;
    for (size_t i = before; i < columns_.size(); i++) width += columns_[i].width + (i > before);
    const StepResult& first = turns.first();
    // What the arguments leave of their room is for the times, so that a wide terminal has them in one line.
    size_t& arguments = columns.back().width;
    const size_t unused = arguments - std::min(arguments, std::max<size_t>(first.arguments.size(), 12));
    const size_t given = std::min(unused, text.size() - std::min(text.size(), width));
    arguments -= given;
    columns.push_back({"", width + given, Align::left});
    print_cells(columns, {std::to_string(first.index), first.call, first.arguments, text});
    if (turns.failed() > few)
        fmt::print(out_, "    {} and {} more of its turns\n", painted("FAILED", red, colour_),
                   turns.failed() - few);
    out_.flush();
}

void StepTable::print_row(const StepResult& step) {
    print_cells(columns_, cells_of(step));
    if (!step.ok && !step.skipped_for)
        fmt::print(out_, "    {} {}\n", painted("FAILED", red, colour_), step.problem);
    if (step.host_returned) fmt::print(out_, "    the host has back {}\n", format_size(*step.host_returned));
    if (step.record) print_notes(out_, *step.record);
    for (const abi::ExtentInfo& extent : step.extents)
        fmt::print(out_, "    {:<14} {:>10} {:<4} maps with {}\n", format_address(extent.at),
                   format_size(extent.size), prot_name(extent.prot), format_size(extent.page_size));
    out_.flush();
}

void StepTable::print_map(const std::vector<MapEntry>& map) {
    for (const MapEntry& entry : map)
        fmt::print(out_, "    {:<14} {:>10} {:<4} {:<10} maps with {}\n", format_address(entry.at),
                   format_size(entry.size), prot_name(entry.prot), name_of(entry.backing),
                   describe(entry.outlook));
    if (map.empty()) fmt::print(out_, "    nothing is mapped\n");
}

void print_summary(std::ostream& out, const RunResult& run, Colour colour) {
    std::string counts = fmt::format("{} passed, {} failed", run.passed(), run.failed());
    if (run.skipped() > 0) counts += fmt::format(", {} skipped", run.skipped());
    fmt::print(out, "\n{}\n", painted(counts, run.failed() ? red : green, colour));
    if (run.soak)
        fmt::print(out, "{}\n", painted(run.soak->text(), run.soak->grown().empty() ? green : red, colour));
    for (const MoveComparison& comparison : compare_moves(run.steps)) print(out, comparison);
}

}  // namespace gpremap
