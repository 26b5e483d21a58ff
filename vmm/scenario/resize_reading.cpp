#include "vmm/scenario/resize_reading.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <string_view>

#include "vmm/base/errors.h"
#include "vmm/base/text_file.h"
#include "vmm/base/units.h"
#include "vmm/calls/words.h"

namespace gpremap {

namespace {

// ---- shapes ----

constexpr uint64_t most_steps = 1'000'000;

// How far from `from` to `to` it is after `done` of all steps: 0 to 1.
using Shape = std::function<double(double done)>;

void add_points(const TomlTable& table, const Shape& shape, ResizeAction& action) {
    action.from = table.at("from", "the size to start at").size();
    action.to = table.at("to", "the size to end at").size();
    const double seconds = read_seconds(table.at("seconds", "how long the schedule takes"));
    const uint64_t steps = table.at("steps", "how many resizings").integer_in(1, most_steps);
    if (action.from == 0 || action.to == 0) table.fail("a range cannot be resized from or to nothing");
    const auto from = static_cast<double>(action.from), to = static_cast<double>(action.to);
    for (uint64_t step = 1; step <= steps; step++) {
        const auto done = static_cast<double>(step);
        const double size = from + (to - from) * shape(done / static_cast<double>(steps));
        action.points.push_back({seconds * done / static_cast<double>(steps), static_cast<uint64_t>(size)});
    }
}

double straight(double done) {
    return done;
}

void read_ramp(const TomlValue& value, ResizeAction& action) {
    value.table().only({"from", "to", "seconds", "steps"});
    add_points(value.table(), straight, action);
}

// From `from` to `to` and back, as often as `periods` says.
void read_sine(const TomlValue& value, ResizeAction& action) {
    const TomlTable table = value.table();
    table.only({"from", "to", "seconds", "steps", "periods"});
    double periods = 1;
    if (auto stated = table.find("periods")) {
        periods = stated->number();
        if (!(periods > 0 && periods <= most_steps)) stated->expected("a number above 0");
    }
    add_points(
        table, [=](double done) { return (1 - std::cos(2 * std::numbers::pi * periods * done)) / 2; },
        action);
}

// Each size between the two with the same probability. The same seed gives the same sizes everywhere: the engine is
// that of the standard, and the fraction is made of its upper 53 bits.
void read_random(const TomlValue& value, ResizeAction& action) {
    const TomlTable table = value.table();
    table.only({"from", "to", "seconds", "steps", "seed"});
    action.seed = table.at("seed", "an integer that the sizes follow from")
                      .integer_in(0, std::numeric_limits<int64_t>::max());
    std::mt19937_64 engine(*action.seed);
    add_points(
        table, [&](double) { return static_cast<double>(engine() >> 11) * 0x1p-53; }, action);
}

// ---- traces ----

std::string_view without_spaces(std::string_view text) {
    constexpr std::string_view spaces = " \t\r";
    const size_t begin = text.find_first_not_of(spaces);
    if (begin == std::string_view::npos) return "";
    return text.substr(begin, text.find_last_not_of(spaces) + 1 - begin);
}

class TraceReader {
  public:
    explicit TraceReader(std::string file) : place_{std::move(file), 0, ""} {}

    std::vector<ResizeAction::Point> read(std::string_view text) {
        for (size_t begin = 0; begin < text.size();) {
            const size_t end = std::min(text.find('\n', begin), text.size());
            place_.line++;
            read_line(text.substr(begin, end - begin));
            begin = end + 1;
        }
        if (points_.empty()) place_.fail("expected lines of a time and a size, such as \"0.5,256MiB\"");
        return std::move(points_);
    }

  private:
    void read_line(std::string_view line) {
        line = without_spaces(line.substr(0, line.find('#')));
        if (line.empty()) return;
        const size_t comma = line.find(',');
        const std::string_view time = without_spaces(line.substr(0, comma));
        const std::string_view size =
            comma == std::string_view::npos ? "" : without_spaces(line.substr(comma + 1));
        const bool may_be_heads = !has_heads_ && points_.empty();
        if (may_be_heads && time == "seconds" && size == "size") {
            has_heads_ = true;
            return;
        }
        if (time.empty()) place_.fail("the time is missing; expected seconds, a comma and a size");
        if (size.empty()) place_.fail("the size is missing; expected seconds, a comma and a size");
        add(time, size);
    }

    // What stands there is not shown: the file may be one that nobody is to see.
    void add(std::string_view time, std::string_view size) {
        double seconds = 0;
        const auto [end, error] = std::from_chars(time.data(), time.data() + time.size(), seconds);
        if (error != std::errc() || end != time.data() + time.size() || !(seconds >= 0 && seconds < 1e9))
            place_.fail("expected seconds such as 0.5");
        if (!points_.empty() && seconds < points_.back().due)
            place_.fail(fmt::format("time goes back: {} s stands behind {} s", seconds, points_.back().due));
        const auto bytes = parse_size(size);
        if (!bytes) place_.fail(fmt::format("expected {}", bytes.error()));
        if (*bytes == 0) place_.fail("a range cannot be resized to nothing");
        points_.push_back({seconds, *bytes, place_.line});
    }

    TomlPlace place_;
    bool has_heads_ = false;
    std::vector<ResizeAction::Point> points_;
};

// A path that is not absolute is beside the scenario's file.
void read_trace(const TomlValue& value, ResizeAction& action) {
    action.trace = (std::filesystem::path(value.place().file).parent_path() / value.text()).string();
    std::string text;
    try {
        text = read_text(action.trace);
    } catch (const ConfigError& error) {
        value.fail(error.what());
    }
    action.points = TraceReader(action.trace).read(text);
}

}  // namespace

double read_seconds(const TomlValue& value, double longest) {
    const auto seconds = value.is_text() ? parse_seconds(value.text())
                                         : tl::expected<double, std::string_view>(value.number());
    if (!seconds || !(*seconds >= 0 && *seconds <= longest))
        value.expected(fmt::format(
            "seconds from 0 to {}, or a time such as \"200ms\" (units: ns, us, ms, s, min)", longest));
    return *seconds;
}

double read_deadline(const TomlValue& value) {
    const double seconds = read_seconds(value, longest_deadline);
    if (seconds == 0) value.fail("nothing is done in no time; expected more than 0 seconds");
    return seconds;
}

ResizeAction read_inflate(const TomlValue& value) {
    const TomlTable table = value.table();
    table.only({"range", "from", "to", "seconds", "steps"});
    ResizeAction action;
    action.range = read_place(table, {"range"});
    add_points(table, straight, action);
    return action;
}

ResizeAction read_resize(const TomlValue& value) {
    using Reader = void (*)(const TomlValue&, ResizeAction&);
    constexpr std::array<std::pair<std::string_view, Reader>, 4> readers{
        {{"trace", read_trace}, {"ramp", read_ramp}, {"sine", read_sine}, {"random", read_random}}};
    const TomlTable table = value.table();
    table.only({"range", "trace", "ramp", "sine", "random"});
    ResizeAction action;
    action.range = read_place(table, {"range"});
    for (const auto& [name, read] : readers) {
        const auto stated = table.find(name);
        if (!stated) continue;
        if (!action.points.empty())
            stated->fail("the sizes are stated already; expected one of trace, ramp, sine, random");
        read(*stated, action);
    }
    if (action.points.empty()) value.fail("no sizes; expected one of trace, ramp, sine, random");
    return action;
}

}  // namespace gpremap
