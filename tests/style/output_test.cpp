// What the program puts out is what the documentation says of it: the result of a run, the sample in README.md.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/schema/full_result.h"
#include "tests/style/documents.h"
#include "tests/vmm/report/run_json.h"
#include "vmm/report/table.h"
#include "vmm/scenario/reading.h"
#include "vmm/scenario/timeline.h"

namespace {

using testing::AnyOf;
using testing::HasSubstr;

using Cells = std::vector<std::string>;

void collect_keys(const gpremap::JsonObject& json, std::set<std::string>& keys) {
    if (json.is_object())
        for (const auto& [key, value] : json.items()) keys.insert(key);
    for (const auto& value : json)
        if (value.is_structured()) collect_keys(value, keys);
}

TEST(Results, DescribeEveryKey) {
    std::set<std::string> keys;
    collect_keys(json_of(gpremap::full_result()), keys);
    for (const char* of_a_place : {"vcpu0", "1GiB", "2MiB"}) keys.erase(of_a_place);
    EXPECT_GT(keys.size(), 60u);
    const std::string section = text_of("docs/results.md");
    for (const std::string& key : keys)
        EXPECT_THAT(section, AnyOf(HasSubstr("`" + key + "`"), HasSubstr("`" + key + "[]`")));
}

// ---- README.md ----

// The rows of the sample output, each with its cells as the rule below the heads divides them, over all of its
// lines. The first is the heads; notes below a row are left out.
std::vector<Cells> sample_rows() {
    std::vector<std::string> lines = lines_of(text_of("README.md"));
    auto rule = std::find_if(lines.begin(), lines.end(), [](auto& line) { return line.starts_with("--- "); });
    std::vector<Cells> rows;
    for (auto line = rule - 1; line != lines.end() && !line->empty(); ++line) {
        if (line == rule || line->starts_with("    the host")) continue;
        const bool begins = trimmed(line->substr(0, 3)) != "";
        if (begins) rows.emplace_back();
        size_t at = 0, column = 0;
        for (size_t width : {3u, 10u, 26u, 22u, 9u, 10u, 18u, 4u}) {
            const std::string part = at < line->size() ? trimmed(line->substr(at, width)) : "";
            if (begins)
                rows.back().push_back(part);
            else if (!part.empty())
                rows.back()[column] += " " + part;
            at += width + 1;
            column++;
        }
    }
    return rows;
}

TEST(Readme, PrintsTheTablesHeads) {
    std::ostringstream out;
    gpremap::StepTable(out, gpremap::Colour::none, 110).print({});
    const std::vector<std::string> printed = lines_of(out.str());
    EXPECT_THAT(text_of("README.md"), HasSubstr("```\n" + printed.at(0) + "\n" + printed.at(1) + "\n"));
}

TEST(Readme, PrintsRowsOfTheQuickstart) {
    const gpremap::Scenario scenario = gpremap::read_scenario(project / "configs/quickstart.toml");
    const auto timeline = gpremap::timeline_of(scenario.steps, scenario.machine.memory.granule);
    std::vector<Cells> rows = sample_rows();
    ASSERT_GT(rows.size(), 5u);
    for (size_t i = 1; i < rows.size(); i++) {
        const size_t index = std::stoul(rows[i].at(0));
        ASSERT_LT(index, timeline.size());
        const gpremap::ScenarioStep& step = *timeline[index].step;
        EXPECT_EQ(rows[i].at(1), step.verb) << "row " << index;
        EXPECT_EQ(rows[i].at(2), step.summary) << "row " << index;
    }
    EXPECT_THAT(text_of("README.md"), HasSubstr(fmt::format("\n{} passed, 0 failed\n", timeline.size())));
}

}  // namespace
