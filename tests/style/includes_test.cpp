// Who may know whom. docs/architecture.md has a table of the folders, lowest first, with what each may include;
// no source includes anything else of this project. And the core stays pure: remap/ includes the C++ standard
// library, tl::expected and its own headers only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

const fs::path project = PROJECT_DIR;

// ---- what a source includes ----

struct Include {
    size_t line;
    std::string header;  // as written: <vector>, "remap/range.h"; or what cannot be read as either
};

// Every include of `source`, also one by macro or with a header that cannot be read.
std::vector<Include> includes_in(std::istream& source) {
    static const std::regex directive(R"(^\s*(?:#|%:)\s*(?:include|include_next|import)\b\s*(.*))");
    static const std::regex header(R"(^(<[^>]+>|"[^"]+"))");
    std::vector<Include> includes;
    size_t number = 0;
    for (std::string line; std::getline(source, line);) {
        number++;
        std::smatch included;
        if (!std::regex_search(line, included, directive)) continue;
        const std::string operand = included[1];
        std::smatch name;
        includes.push_back({number, std::regex_search(operand, name, header) ? name[1].str() : operand});
    }
    return includes;
}

// ---- the core ----

// C++20, [headers]. clang-format would give every word a line.
// clang-format off
const std::set<std::string> standard_headers = {
    "algorithm", "any", "array", "atomic", "barrier", "bit", "bitset", "charconv", "chrono", "codecvt", "compare",
    "complex", "concepts", "condition_variable", "coroutine", "deque", "exception", "execution", "filesystem",
    "format", "forward_list", "fstream", "functional", "future", "initializer_list", "iomanip", "ios", "iosfwd",
    "iostream", "istream", "iterator", "latch", "limits", "list", "locale", "map", "memory", "memory_resource",
    "mutex", "new", "numbers", "numeric", "optional", "ostream", "queue", "random", "ranges", "ratio", "regex",
    "scoped_allocator", "semaphore", "set", "shared_mutex", "source_location", "span", "sstream", "stack",
    "stdexcept", "stop_token", "streambuf", "string", "string_view", "strstream", "syncstream", "system_error",
    "thread", "tuple", "type_traits", "typeindex", "typeinfo", "unordered_map", "unordered_set", "utility",
    "valarray", "variant", "vector", "version", "cassert", "cctype", "cerrno", "cfenv", "cfloat", "cinttypes",
    "climits", "clocale", "cmath", "csetjmp", "csignal", "cstdarg", "cstddef", "cstdint", "cstdio", "cstdlib",
    "cstring", "ctime", "cuchar", "cwchar", "cwctype"};
// clang-format on

bool allowed(const std::string& header) {
    if (header.starts_with("\"remap/")) return header.find("..") == std::string::npos;
    return header == "<tl/expected.hpp>" ||
           (header.starts_with('<') && standard_headers.contains(header.substr(1, header.size() - 2)));
}

// What `source` includes and may not.
std::vector<std::string> foreign_includes(std::istream& source) {
    std::vector<std::string> foreign;
    for (const Include& include : includes_in(source))
        if (!allowed(include.header)) foreign.push_back(include.header);
    return foreign;
}

std::vector<std::string> foreign_includes_of(const std::string& text) {
    std::istringstream source(text);
    return foreign_includes(source);
}

std::vector<fs::path> sources_of_the_core() {
    std::vector<fs::path> sources;
    for (const auto& entry : fs::recursive_directory_iterator(project / "remap")) {
        if (entry.is_regular_file() && entry.path().filename() != "meson.build")
            sources.push_back(entry.path());
    }
    return sources;
}

TEST(Includes, OfTheCoreAreItsOwnOrStandard) {
    const auto sources = sources_of_the_core();
    ASSERT_FALSE(sources.empty()) << "no sources in " << PROJECT_DIR "/remap";
    for (const auto& path : sources) {
        std::ifstream source(path);
        ASSERT_TRUE(source) << path;
        EXPECT_THAT(foreign_includes(source), IsEmpty())
            << path << " may include the C++ standard library, \"remap/...\" and <tl/expected.hpp> only";
    }
}

TEST(Includes, AllowedOnesAreNotReported) {
    EXPECT_THAT(foreign_includes_of("#include <vector>\n#include <cstdint>  // sizes\n"
                                    "#include \"remap/range.h\"\n  #  include <tl/expected.hpp>\n"),
                IsEmpty());
    EXPECT_THAT(foreign_includes_of("// as in #include <sys/mman.h>\nint include;\n"), IsEmpty());
}

TEST(Includes, ForeignOnesAreFound) {
    EXPECT_THAT(
        foreign_includes_of("#include <sys/mman.h>\n#include <linux/kvm.h>\n#include \"vmm/errors.h\"\n"
                            "#include \"guest/abi/agent.h\"\n#include \"range.h\"\n#include \"vector\"\n"),
        ElementsAre("<sys/mman.h>", "<linux/kvm.h>", "\"vmm/errors.h\"", "\"guest/abi/agent.h\"",
                    "\"range.h\"", "\"vector\""));
    EXPECT_THAT(foreign_includes_of("#include <tl/optional.hpp>\n#include <stdint.h>\n"),
                ElementsAre("<tl/optional.hpp>", "<stdint.h>"));
}

TEST(Includes, DisguisesAreFound) {
    EXPECT_THAT(foreign_includes_of("#include\"remap/../vmm/errors.h\"\n\t#\tinclude<unistd.h>\n"
                                    "#include_next <fcntl.h>\n#include HEADER\n%: include <fcntl.h>\n"),
                ElementsAre("\"remap/../vmm/errors.h\"", "<unistd.h>", "<fcntl.h>", "HEADER", "<fcntl.h>"));
}

// ---- the table of folders ----

struct Row {
    std::string folder;
    std::set<std::string> may_include;
};
using Table = std::vector<Row>;

const std::string table_header = "| folder | what it holds | may include |";

// The names in backquotes.
std::vector<std::string> quoted_names(const std::string& cell) {
    static const std::regex name("`([^`]+)`");
    std::vector<std::string> names;
    for (std::sregex_iterator found(cell.begin(), cell.end(), name), end; found != end; ++found)
        names.push_back((*found)[1]);
    return names;
}

std::string without_slash(const std::string& folder) {
    return folder.ends_with('/') ? folder.substr(0, folder.size() - 1) : folder;
}

// The row that `line` is, below the rows `above` it. Its last cell names folders, or says "nothing" or "all above".
std::optional<Row> read_row(const std::string& line, const Table& above) {
    static const std::regex cells(R"(^\| `([^`]+)` \|.*\| ([^|]+) \|$)");
    std::smatch cell;
    if (!std::regex_match(line, cell, cells)) return std::nullopt;
    Row row{without_slash(cell[1]), {}};
    const std::string may_include = cell[2];
    if (may_include == "all above")
        for (const Row& other : above) row.may_include.insert(other.folder);
    for (const std::string& folder : quoted_names(may_include)) row.may_include.insert(without_slash(folder));
    if (row.may_include.empty() && may_include != "nothing") return std::nullopt;
    return row;
}

Table read_table(std::istream& page) {
    Table table;
    std::string line;
    while (std::getline(page, line) && line != table_header) continue;
    std::getline(page, line);  // the rule below the header
    while (std::getline(page, line) && line.starts_with('|')) {
        const std::optional<Row> row = read_row(line, table);
        if (!row) throw std::runtime_error("not a row of folders: " + line);
        table.push_back(*row);
    }
    return table;
}

// Folders that are named before they have a row: the table is read from the bottom up, so no folder needs what
// comes later, and there is no circle.
std::vector<std::string> upward_arrows(const Table& table) {
    std::vector<std::string> upward;
    std::set<std::string> seen;
    for (const Row& row : table) {
        for (const std::string& other : row.may_include)
            if (!seen.contains(other)) upward.push_back(row.folder + " -> " + other);
        if (!seen.insert(row.folder).second) upward.push_back(row.folder + " has two rows");
    }
    return upward;
}

// ---- the tree against the table ----

using Rules = std::map<std::string, std::set<std::string>>;

Rules rules_of(const Table& table) {
    Rules rules;
    for (const Row& row : table) rules[row.folder] = row.may_include;
    return rules;
}

// What is wrong with the includes of a file in `folder`, which has a rule. Headers in <> are the system's.
std::vector<std::string> include_errors(std::istream& source, const std::string& file,
                                        const std::string& folder, const Rules& rules) {
    std::vector<std::string> errors;
    for (const Include& include : includes_in(source)) {
        if (include.header.starts_with('<')) continue;
        const std::string where = file + ":" + std::to_string(include.line) + ": include " + include.header;
        const fs::path header = include.header.substr(1, std::max<size_t>(include.header.size(), 2) - 2);
        const std::string other = header.parent_path().string();
        if (!include.header.starts_with('"') || !rules.contains(other) || header != header.lexically_normal())
            errors.push_back(where + ": is no header of a folder in the table");
        else if (other != folder && !rules.at(folder).contains(other))
            errors.push_back(where + ": folder " + folder + " may not include folder " + other);
    }
    return errors;
}

std::vector<std::string> include_errors_of(const std::string& text, const std::string& folder,
                                           const Rules& rules) {
    std::istringstream source(text);
    return include_errors(source, folder + "/x.cpp", folder, rules);
}

bool is_source(const fs::path& path) {
    static const std::set<std::string> endings{".h", ".hpp", ".c", ".cpp", ".S", ".ld", ".py"};
    return endings.contains(path.extension().string());
}

// Sources by folder, as the table names folders. Tests are not in the table: they may include anything.
std::map<std::string, std::vector<fs::path>> sources_by_folder() {
    std::map<std::string, std::vector<fs::path>> sources;
    for (const char* top : {"remap", "guest", "vmm"})
        for (const auto& entry : fs::recursive_directory_iterator(project / top))
            if (entry.is_regular_file() && is_source(entry.path()))
                sources[fs::relative(entry.path().parent_path(), project).string()].push_back(entry.path());
    return sources;
}

Table table_of_the_documentation() {
    std::ifstream page(project / "docs/architecture.md");
    return read_table(page);
}

Table table_from(const std::string& rows) {
    std::istringstream page("# Title\n\n" + table_header + "\n|---|---|---|\n" + rows);
    return read_table(page);
}

TEST(Folders, HaveARowEach) {
    const Rules rules = rules_of(table_of_the_documentation());
    ASSERT_FALSE(rules.empty()) << "docs/architecture.md has no table \"" << table_header << '"';
    const auto sources = sources_by_folder();
    for (const auto& [folder, files] : sources)
        EXPECT_TRUE(rules.contains(folder)) << folder << " has sources and no row in docs/architecture.md";
    for (const auto& [folder, may_include] : rules)
        EXPECT_TRUE(sources.contains(folder))
            << folder << " has a row in docs/architecture.md and no sources";
}

TEST(Folders, StandAboveWhatMayIncludeThem) {
    EXPECT_THAT(upward_arrows(table_of_the_documentation()), IsEmpty());
}

TEST(Folders, IncludeWhatTheirRowSays) {
    const Rules rules = rules_of(table_of_the_documentation());
    for (const auto& [folder, files] : sources_by_folder()) {
        if (!rules.contains(folder)) continue;  // said above
        for (const fs::path& path : files) {
            if (path.extension() == ".py") continue;  // # begins a comment there
            std::ifstream source(path);
            ASSERT_TRUE(source) << path;
            const std::string file = fs::relative(path, project).string();
            for (const std::string& error : include_errors(source, file, folder, rules))
                ADD_FAILURE() << error;
        }
    }
}

const std::string three_rows =
    "| `low/` | pure | nothing |\n| `mid/` | a, `b` | `low` |\n| `top/` | all | all above |\n";

TEST(FolderTable, IsReadRowByRow) {
    EXPECT_THAT(rules_of(table_from(three_rows + "\n| `after/` | the table | nothing |\n")),
                ElementsAre(Pair("low", IsEmpty()), Pair("mid", ElementsAre("low")),
                            Pair("top", ElementsAre("low", "mid"))));
    EXPECT_THROW(table_from("| `low/` | pure | whatever |\n"), std::runtime_error);
    EXPECT_THROW(table_from("| low | pure | nothing |\n"), std::runtime_error);
}

TEST(FolderTable, HasNoArrowUpwards) {
    EXPECT_THAT(upward_arrows(table_from(three_rows)), IsEmpty());
    EXPECT_THAT(
        upward_arrows(table_from("| `a/` | x | `b`, `a` |\n| `b/` | x | `a` |\n| `a/` | x | nothing |\n")),
        ElementsAre("a -> a", "a -> b", "a has two rows"));
}

TEST(FolderTable, IsWhatIncludesAreHeldAgainst) {
    const Rules rules = rules_of(table_from(three_rows));
    EXPECT_THAT(include_errors_of("#include <sys/mman.h>\n#include \"mid/own.h\"\n#include \"low/a.h\"\n",
                                  "mid", rules),
                IsEmpty());
    EXPECT_THAT(include_errors_of("\n#include \"top/a.h\"\n", "mid", rules),
                ElementsAre("mid/x.cpp:2: include \"top/a.h\": folder mid may not include folder top"));
    EXPECT_THAT(include_errors_of("#include \"own.h\"\n#include \"tests/a.h\"\n#include \"mid/../low/a.h\"\n"
                                  "#include HEADER\n#include \"\n",
                                  "top", rules),
                ElementsAre("top/x.cpp:1: include \"own.h\": is no header of a folder in the table",
                            "top/x.cpp:2: include \"tests/a.h\": is no header of a folder in the table",
                            "top/x.cpp:3: include \"mid/../low/a.h\": is no header of a folder in the table",
                            "top/x.cpp:4: include HEADER: is no header of a folder in the table",
                            "top/x.cpp:5: include \": is no header of a folder in the table"));
}

}  // namespace
