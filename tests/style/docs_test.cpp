// The documentation says what the code says: tables are compared with the code they describe, examples are
// read as the program reads them, links lead somewhere.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/style/documents.h"
#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"
#include "vmm/calls/catalogue.h"
#include "vmm/cases/divergences.h"
#include "vmm/cases/reading.h"
#include "vmm/scenario/reading.h"

namespace {

using testing::Contains;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::IsSupersetOf;

using Cells = std::vector<std::string>;

// The cells of every row of every table.
std::vector<Cells> rows_of(const std::string& text) {
    std::vector<Cells> rows;
    for (const std::string& line : lines_of(text)) {
        if (!line.starts_with("| ")) continue;
        Cells cells;
        std::istringstream in(line.substr(1));
        for (std::string cell; std::getline(in, cell, '|');) cells.push_back(trimmed(cell));
        rows.push_back(cells);
    }
    return rows;
}

// "`map`" -> "map"; "" where the cell holds anything else.
std::string code_in(const std::string& cell) {
    bool quoted = cell.size() > 2 && cell.front() == '`' && cell.find('`', 1) == cell.size() - 1;
    return quoted ? cell.substr(1, cell.size() - 2) : "";
}

std::vector<std::string> matches_of(const std::string& text, const std::string& pattern, size_t group = 1) {
    std::vector<std::string> found;
    const std::regex regex(pattern);
    for (std::sregex_iterator i(text.begin(), text.end(), regex), end; i != end; ++i)
        found.push_back((*i)[group]);
    return found;
}

std::vector<fs::path> documents() {
    std::vector<fs::path> all{"README.md"};
    for (const auto& entry : fs::directory_iterator(project / "docs"))
        if (entry.path().extension() == ".md") all.push_back(fs::relative(entry.path(), project));
    return all;
}

// ---- semantics.md ----

TEST(Semantics, ListsTheDivergencesOfTheCode) {
    std::vector<Cells> expected;
    for (const gpremap::Divergence& each : gpremap::divergences()) {
        expected.push_back(
            {fmt::format("`{}`", each.id), std::string(each.on_linux), std::string(each.here)});
    }
    std::string text = text_of("docs/semantics.md");
    size_t begin = text.find("### Divergences");
    ASSERT_NE(begin, std::string::npos);
    std::vector<Cells> rows = rows_of(text.substr(begin, text.find("\n## ", begin) - begin));
    ASSERT_FALSE(rows.empty());
    rows.erase(rows.begin());  // the heads
    EXPECT_THAT(rows, ElementsAreArray(expected));
}

// ---- abi.md ----

std::string abi_headers() {
    return text_of("guest/abi/hypercall.h") + text_of("guest/abi/workload.h") + text_of("guest/abi/agent.h") +
           text_of("guest/abi/ring.h") + text_of("guest/abi/linux.h");
}

// Constants, enumerators and calls of the ABI, as "NAME LITERAL".
std::vector<std::string> numbers_of_abi() {
    std::vector<std::string> numbers;
    const std::string text = abi_headers();
    for (const char* number : {R"((\w+) = (0x[0-9a-f]+|\d+)(?:[,;]| \}))",             // in C++
                               R"(#define (\w+) (?:UINT64_C\()?(0x[0-9a-f]+|\d+)\b)",  // in C
                               R"(X\((\w+), (0x[0-9a-f]+)\))"}) {
        const std::regex pattern(number);
        for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i)
            numbers.push_back(fmt::format("{} {}", (*i)[1].str(), (*i)[2].str()));
    }
    return numbers;
}

std::vector<std::string> documented_numbers() {
    std::vector<std::string> numbers;
    for (const Cells& cells : rows_of(text_of("docs/abi.md")))
        for (size_t i = 0; i + 1 < cells.size(); i++)
            if (std::string value = code_in(cells[i + 1]); !value.empty() && std::isdigit(value[0]))
                numbers.push_back(fmt::format("{} {}", code_in(cells[i]), value));
    return numbers;
}

std::vector<std::string> without(std::vector<std::string> all, const std::vector<std::string>& these) {
    std::erase_if(all, [&](const std::string& each) { return std::ranges::count(these, each) != 0; });
    return all;
}

TEST(Abi, ListsEveryNumber) {
    // Said in sentences and not in tables.
    const std::set<std::string> prose{"GPREMAP_ABI_VERSION", "GPREMAP_HYPERCALL_PORT",
                                      "GPREMAP_MAX_BATCH",   "exception_port",
                                      "agent_base",          "max_vcpus",
                                      "inline_bytes"};
    std::vector<std::string> in_tables;
    for (const std::string& number : numbers_of_abi())
        if (!prose.contains(number.substr(0, number.find(' ')))) in_tables.push_back(number);
    ASSERT_GT(in_tables.size(), 80u);
    EXPECT_THAT(without(in_tables, documented_numbers()), IsEmpty()) << "are missing from docs/abi.md";
    EXPECT_THAT(without(documented_numbers(), in_tables), IsEmpty()) << "are not in guest/abi/";
}

TEST(Abi, ListsTheArgumentsOfEveryCall) {
    std::string header = text_of("guest/abi/hypercall.h");
    const std::regex call(R"(X\((\w+), (0x[0-9a-f]+)\)\s*/\* (\([^)]*\)))");
    std::vector<Cells> expected;
    for (std::sregex_iterator i(header.begin(), header.end(), call), end; i != end; ++i)
        expected.push_back({(*i)[1], (*i)[2], (*i)[3]});
    ASSERT_GT(expected.size(), 30u);
    std::vector<Cells> documented;
    for (const Cells& cells : rows_of(text_of("docs/abi.md")))
        if (cells.size() >= 3 && code_in(cells[2]).starts_with('('))
            documented.push_back({code_in(cells[0]), code_in(cells[1]), code_in(cells[2])});
    EXPECT_THAT(documented, ElementsAreArray(expected));
}

TEST(Abi, IsWhatTheCatalogueSays) {
    const std::string header = text_of("guest/abi/hypercall.h");
    const std::regex call(R"(X\((\w+), (0x[0-9a-f]+)\)\s*/\* \(([^)]*)\)\s*-> (\w+))");
    size_t rows = 0;
    for (std::sregex_iterator i(header.begin(), header.end(), call), end; i != end; ++i) {
        const auto number = static_cast<gpremap::abi::Call>(std::stoull((*i)[2], nullptr, 16));
        const gpremap::CallRow* row = gpremap::find_call(number);
        const bool is_control = number < gpremap::abi::Call::map;
        EXPECT_EQ(row == nullptr, is_control || number == gpremap::abi::Call::batch) << (*i)[1];
        if (!row) continue;
        rows++;
        std::string arguments;
        for (const gpremap::Parameter& each : row->parameters)
            arguments += (arguments.empty() ? "" : ", ") + std::string(each.label);
        EXPECT_EQ(arguments, (*i)[3]) << (*i)[1];
        EXPECT_EQ(row->returns_address, (*i)[4] == "address") << (*i)[1];
        // A native call and one of Linux's further ones are steps by their own names, another by its system's.
        EXPECT_THAT((*i)[1].str(), testing::StartsWith(std::string(row->verb)));
    }
    EXPECT_EQ(rows, gpremap::catalogue().size());
    EXPECT_TRUE(std::ranges::is_sorted(gpremap::catalogue(), {}, &gpremap::CallRow::number));
}

TEST(Abi, NamesTheVersionAndThePort) {
    std::string text = text_of("docs/abi.md");
    EXPECT_NE(text.find(fmt::format("Version: **{}**", GPREMAP_ABI_VERSION)), std::string::npos);
    EXPECT_NE(text.find(fmt::format("${:#x}", GPREMAP_HYPERCALL_PORT)), std::string::npos);
}

TEST(Abi, NamesEveryStructure) {
    std::string text = text_of("docs/abi.md");
    for (const std::string& name : matches_of(abi_headers(), R"(struct (\w+) \{)"))
        EXPECT_NE(text.find(fmt::format("`{}`", name)), std::string::npos) << name;
}

// ---- examples ----

struct Example {
    std::string name;  // of the document, and the line at which the example begins
    std::string text;
};

std::vector<Example> examples() {
    std::vector<Example> all;
    for (const fs::path& path : documents()) {
        bool inside = false;
        size_t number = 0;
        for (const std::string& line : lines_of(text_of(path))) {
            number++;
            if (line == "```toml") {
                all.push_back({fmt::format("{}:{}", path.string(), number), ""});
                inside = true;
            } else if (line == "```") {
                inside = false;
            } else if (inside) {
                all.back().text += line + "\n";
            }
        }
    }
    return all;
}

TEST(Examples, AreWhatTheProgramReads) {
    ASSERT_GT(examples().size(), 5u);
    for (const auto& [name, text] : examples()) {
        try {
            if (text.find("[[case]]") != std::string::npos)
                gpremap::parse_cases(text, name);
            else
                gpremap::parse_scenario(text, name);
        } catch (const gpremap::ConfigError& error) {
            ADD_FAILURE() << "in the example at " << name << ":\n" << error.what();
        }
    }
}

// ---- completeness: what the program says it knows, the documentation describes ----

// The words of what a ConfigError lists: "known are a, b" -> a, b.
std::set<std::string> words_known_to(const std::string& message, const std::string& before) {
    size_t at = message.find(before);
    EXPECT_NE(at, std::string::npos) << message;
    if (at == std::string::npos) return {};
    std::string list = message.substr(at + before.size());
    std::vector<std::string> words = matches_of(list.substr(0, list.find('\n')), R"((\w+))");
    return {words.begin(), words.end()};
}

template <typename Parse>
std::string complaint_about(Parse parse) {
    try {
        parse();
    } catch (const gpremap::ConfigError& error) {
        return error.what();
    }
    return "";
}

// The first cells of all tables, where they are code.
std::vector<std::string> documented_in(const fs::path& path) {
    std::vector<std::string> names;
    for (const Cells& cells : rows_of(text_of(path)))
        for (const std::string& name : matches_of(cells[0], "`(\\w+)`")) names.push_back(name);
    return names;
}

TEST(Experiments, DescribeEveryStep) {
    std::string complaint =
        complaint_about([] { gpremap::parse_scenario("[[step]]\nnothing = 1\n", "test"); });
    std::set<std::string> steps = words_known_to(complaint, "known are ");
    EXPECT_GT(steps.size(), 25u);
    EXPECT_THAT(documented_in("docs/scenarios.md"), IsSupersetOf(steps));
}

TEST(Experiments, DescribeEveryKeyOfTheVmAndOfExpect) {
    std::string of_vm = complaint_about([] { gpremap::parse_scenario("[vm]\nnothing = 1\n", "test"); });
    std::string of_expect = complaint_about(
        [] { gpremap::parse_scenario("[[step]]\nsleep = 0\nexpect = { nothing = 1 }\n", "test"); });
    std::vector<std::string> documented = documented_in("docs/scenarios.md");
    EXPECT_THAT(documented, IsSupersetOf(words_known_to(of_vm, "known here: ")));
    EXPECT_THAT(documented, IsSupersetOf(words_known_to(of_expect, "known here: ")));
}

std::set<std::string> keys_of_schema(const std::string& pointer) {
    const auto schema = gpremap::JsonObject::parse(text_of("docs/schema/scenario.json"));
    std::set<std::string> keys;
    for (const auto& [key, value] : schema.at(gpremap::JsonObject::json_pointer(pointer)).items())
        keys.insert(key);
    return keys;
}

TEST(ScenarioSchema, HasEveryKey) {
    const std::string of_step =
        complaint_about([] { gpremap::parse_scenario("[[step]]\nnothing = 1\n", "test"); });
    const std::string of_vm = complaint_about([] { gpremap::parse_scenario("[vm]\nnothing = 1\n", "test"); });
    const std::string of_expect = complaint_about(
        [] { gpremap::parse_scenario("[[step]]\nsleep = 0\nexpect = { nothing = 1 }\n", "test"); });
    EXPECT_THAT(keys_of_schema("/$defs/step/properties"),
                IsSupersetOf(words_known_to(of_step, "known are ")));
    EXPECT_THAT(keys_of_schema("/$defs/vm/properties"), IsSupersetOf(words_known_to(of_vm, "known here: ")));
    EXPECT_THAT(keys_of_schema("/$defs/expect/properties"),
                IsSupersetOf(words_known_to(of_expect, "known here: ")));
}

// Every argument of every call, and every word of its flags.
TEST(ScenarioSchema, HasEveryArgument) {
    const std::string text = text_of("docs/schema/scenario.json");
    auto is_named = [&](std::string_view word) {
        return text.find(fmt::format("\"{}\"", word)) != text.npos;
    };
    for (const gpremap::CallRow& row : gpremap::catalogue()) {
        for (const gpremap::Parameter& each : row.parameters) {
            for (std::string_view key : each.keys) EXPECT_TRUE(is_named(key)) << row.verb << ": " << key;
            for (const auto& [word, bits] : each.words)
                EXPECT_TRUE(is_named(word)) << row.verb << ": " << word;
            for (const gpremap::Switch& flag : each.switches) EXPECT_TRUE(is_named(flag.key)) << flag.key;
            EXPECT_TRUE(!each.field || is_named(each.field->key)) << row.verb;
        }
    }
}

TEST(Cases, DescribeEveryKeyAndCall) {
    std::string of_case = complaint_about([] { gpremap::parse_cases("[[case]]\nnothing = 1\n", "test"); });
    std::string of_native = complaint_about([] {
        gpremap::parse_cases(
            "[[case]]\nname = \"n\"\nbefore = \"a\"\ncalls = [ { native = { nothing = {} } } ]\n", "test");
    });
    std::vector<std::string> documented = documented_in("docs/cases.md");
    EXPECT_THAT(documented, IsSupersetOf(words_known_to(of_case, "known here: ")));
    EXPECT_THAT(documented, IsSupersetOf(words_known_to(of_native, "known: ")));
}

// Every argument of every call, and every word of its flags.
TEST(Cases, DescribeEveryArgument) {
    const std::string text = text_of("docs/cases.md");
    auto is_described = [&](std::string_view word) {
        return std::regex_search(text, std::regex(fmt::format("[`\"{{ ]{}[`\", ]", word)));
    };
    for (const gpremap::CallRow& row : gpremap::catalogue()) {
        if (row.set == gpremap::CallRow::Set::native && !row.is_batchable()) continue;
        EXPECT_TRUE(is_described(row.verb)) << row.verb;
        for (const gpremap::Parameter& each : row.parameters) {
            EXPECT_TRUE(each.keys.empty() || is_described(each.label)) << row.verb << ": " << each.label;
            for (const auto& [word, bits] : each.words) EXPECT_TRUE(is_described(word)) << word;
            for (const gpremap::Switch& flag : each.switches) EXPECT_TRUE(is_described(flag.key)) << flag.key;
            EXPECT_TRUE(!each.field || is_described(each.field->key)) << row.verb;
        }
    }
}

// ---- links ----

// As the headings of a document are addressed: "How a vCPU starts" -> "how-a-vcpu-starts".
std::set<std::string> anchors_of(const std::string& text) {
    std::set<std::string> anchors;
    for (const std::string& line : lines_of(text)) {
        if (!line.starts_with("#")) continue;
        std::string anchor;
        for (char c : trimmed(line.substr(line.find_first_not_of('#')))) {
            if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_')
                anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
            else if (c == ' ')
                anchor += '-';
        }
        anchors.insert(anchor);
    }
    return anchors;
}

TEST(Links, LeadSomewhere) {
    for (const fs::path& path : documents()) {
        for (const std::string& link : matches_of(text_of(path), R"(\]\(([^):]+)\))")) {
            fs::path target = path.parent_path() / link.substr(0, link.find('#'));
            if (link.starts_with('#')) target = path;
            EXPECT_TRUE(fs::exists(project / target)) << path << " links to " << link;
            if (size_t hash = link.find('#'); hash != std::string::npos) {
                EXPECT_THAT(anchors_of(text_of(target)), Contains(link.substr(hash + 1)))
                    << path << " links to " << link;
            }
        }
    }
}

TEST(Links, FilesThatAreNamedExist) {
    const std::string name = R"(`((?:configs|docs|guest|remap|vmm|tests)/[\w./-]+)`)";
    for (const fs::path& path : documents()) {
        for (const std::string& named : matches_of(text_of(path), name)) {
            // A unit is named without the endings of its two files.
            bool exists = fs::exists(project / named) || fs::exists(project / (named + ".h"));
            EXPECT_TRUE(exists) << path << " names " << named;
        }
    }
}

}  // namespace
