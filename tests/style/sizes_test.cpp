// Nothing is too long to be seen at once: a folder has at most 15 pairs of sources, a file at most 450 lines, a
// function at most 60. What may be longer is in size_exceptions.txt, with the reason, and nothing else is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/style/documents.h"

namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr size_t max_pairs = 15;
constexpr size_t max_lines_of_a_file = 450;
constexpr size_t max_lines_of_a_function = 60;

// ---- functions ----

// Where what begins at `at` ends, if it is a comment, a string or a character; else `at`.
size_t end_of_prose(const std::string& text, size_t at) {
    const auto after = [&](const std::string& end, size_t from) {
        const size_t found = text.find(end, from);
        return found == std::string::npos ? text.size() : found + end.size();
    };
    if (text.compare(at, 2, "//") == 0) return std::min(text.find('\n', at), text.size());
    if (text.compare(at, 2, "/*") == 0) return after("*/", at + 2);
    if (text.compare(at, 2, "R\"") == 0) {
        const size_t open = std::min(text.find('(', at), text.size());
        return after(")" + text.substr(at + 2, open - at - 2) + "\"", open);
    }
    const bool in_a_number = at > 0 && std::isalnum(static_cast<unsigned char>(text[at - 1]));  // 65'530
    if (text[at] != '"' && (text[at] != '\'' || in_a_number)) return at;
    size_t end = at + 1;
    while (end < text.size() && text[end] != text[at]) end += text[end] == '\\' ? 2 : 1;
    return std::min(end + 1, text.size());
}

// `text` with comments, strings and characters blanked, line by line as before. A line that ends inside of one gets
// a backslash: it may stand in a macro.
std::string without_prose(std::string text) {
    for (size_t at = 0; at < text.size(); at++) {
        const size_t end = end_of_prose(text, at);
        for (size_t i = at; i < end; i++)
            if (text[i] != '\n') text[i] = i + 1 < end && text[i + 1] == '\n' ? '\\' : ' ';
        if (end > at) at = end - 1;
    }
    return text;
}

// Without what hides prose and macros at its ends.
std::string stripped(const std::string& line) {
    const size_t first = line.find_first_not_of(" \\");
    return first == std::string::npos ? "" : line.substr(first, line.find_last_not_of(" \\") - first + 1);
}

struct Function {
    std::string name;
    size_t lines;
};

// clang-format's style is relied on. A declaration begins where its scope's lines are indented to: at the
// margin in namespaces, four further in than the class in a class. Its brace ends a line, and the closing one
// begins a line that is indented as the first is.
class Functions {
  public:
    explicit Functions(const std::string& text) : lines_(lines_of(without_prose(text))) {
        while (at_ < lines_.size()) read_declaration();
    }
    const std::vector<Function>& found() const { return found_; }

  private:
    void read_declaration() {
        const size_t first = at_;
        const size_t indent = lines_[first].find_first_not_of(" \\");
        std::string head = stripped(lines_[at_++]);
        if (head.starts_with('#')) return skip_continued_lines();
        if (head.empty() || head.starts_with('}') || is_access(head)) return;
        while (at_ < lines_.size() && !head.ends_with(';') && !head.ends_with('{') && !head.ends_with('}'))
            head += " " + stripped(lines_[at_++]);
        if (!head.ends_with('{') || is_scope(head)) return;
        skip_to_brace(indent);
        if (is_function(head)) found_.push_back({name_in(head), at_ - first});
    }
    void skip_continued_lines() {
        while (at_ < lines_.size() && lines_[at_ - 1].ends_with('\\')) at_++;
    }
    static bool closes(const std::string& line, size_t indent) {
        return line.size() > indent && line[indent] == '}';
    }
    void skip_to_brace(size_t indent) {
        while (at_ < lines_.size() && lines_[at_].find_first_not_of(' ') != indent) at_++;
        while (at_ < lines_.size() && !closes(lines_[at_], indent)) at_++;
        if (at_ < lines_.size()) at_++;
    }
    static bool is_access(const std::string& head) {
        return head == "public:" || head == "private:" || head == "protected:";
    }
    // What has declarations inside. They follow at once; where it ends is not of interest.
    static bool is_scope(const std::string& head) {
        static const std::regex scope(
            R"(^(template <.*> )?(inline )?(namespace|extern|class|struct|union)\b[^(]*\{$)");
        return std::regex_search(head, scope);
    }
    static bool is_function(const std::string& head) {
        static const std::regex value(R"( = [^\[]*\{$)");  // but = [...](...) { is a function
        const size_t parameters = head.find('(');
        return parameters != std::string::npos &&
               !std::regex_search(head.substr(0, parameters), std::regex(" = $")) &&
               (name_in(head).starts_with("operator") || head.find(" = [") != std::string::npos ||
                !std::regex_search(head.substr(0, parameters) + "{", value));
    }
    static std::string name_in(const std::string& head) {
        static const std::regex lambda(R"((\w+) = \[)");
        static const std::regex test(R"(^TEST(?:_F|_P)?\((\w+), (\w+)\))");
        static const std::regex name(R"(((?:[\w~]+::)*(?:operator[^(]*|[\w~]+))\()");
        std::smatch found;
        if (std::regex_search(head, found, lambda)) return found[1];
        if (std::regex_search(head, found, test)) return found[1].str() + "." + found[2].str();
        return std::regex_search(head, found, name) ? found[1].str() : "";
    }

    std::vector<std::string> lines_;
    size_t at_ = 0;
    std::vector<Function> found_;
};

// ---- what is too long ----

// By what an exception would name: a folder, a file, or path:function. With what is wrong.
using TooLong = std::map<std::string, std::string>;

bool is_code(const fs::path& path) {
    static const std::set<std::string> endings{".h", ".hpp", ".c", ".cpp", ".S"};
    return endings.contains(path.extension().string());
}

bool is_source(const fs::path& path) {
    return is_code(path) || path.extension() == ".py";
}

void look_at_file(const std::string& name, const std::string& text, TooLong& too_long) {
    const size_t lines = lines_of(text).size();
    if (lines > max_lines_of_a_file) too_long[name] = "has " + std::to_string(lines) + " lines";
    if (!is_code(name)) return;
    const Functions functions(text);
    for (const Function& function : functions.found())
        if (function.lines > max_lines_of_a_function)
            too_long[name + ":" + function.name] = "has " + std::to_string(function.lines) + " lines";
}

void look_at_folders(const std::vector<std::string>& files, TooLong& too_long) {
    std::map<std::string, std::set<std::string>> pairs;
    for (const fs::path file : files) pairs[file.parent_path().string()].insert(file.stem().string());
    for (const auto& [folder, names] : pairs)
        if (names.size() > max_pairs)
            too_long[folder] = "has " + std::to_string(names.size()) + " pairs of sources";
}

TooLong too_long_in_the_tree() {
    TooLong too_long;
    std::vector<std::string> files;
    for (const char* top : {"remap", "guest", "vmm", "tests"})
        for (const auto& entry : fs::recursive_directory_iterator(project / top)) {
            if (!entry.is_regular_file() || !is_source(entry.path())) continue;
            files.push_back(fs::relative(entry.path(), project).string());
            look_at_file(files.back(), text_of(entry.path()), too_long);
        }
    look_at_folders(files, too_long);
    return too_long;
}

// ---- the exceptions ----

// What is excepted, with the reason: "path[:function] reason" on a line, # begins a comment.
std::map<std::string, std::string> exceptions_in(const std::string& text) {
    std::map<std::string, std::string> exceptions;
    for (const std::string& line : lines_of(text)) {
        if (stripped(line).empty() || line.starts_with('#')) continue;
        const size_t space = line.find(' ');
        exceptions[line.substr(0, space)] = space == std::string::npos ? "" : stripped(line.substr(space));
    }
    return exceptions;
}

std::vector<std::string> errors(const TooLong& too_long,
                                const std::map<std::string, std::string>& exceptions) {
    std::vector<std::string> errors;
    for (const auto& [name, why] : too_long)
        if (!exceptions.contains(name)) errors.push_back(name + " " + why);
    for (const auto& [name, reason] : exceptions) {
        if (!too_long.contains(name)) errors.push_back(name + " is an exception and need not be one");
        if (reason.empty()) errors.push_back(name + " is an exception without a reason");
    }
    return errors;
}

TEST(Sizes, FitAScreenOrAreExcepted) {
    const TooLong too_long = too_long_in_the_tree();
    const auto exceptions = exceptions_in(text_of(project / "tests/style/size_exceptions.txt"));
    for (const std::string& error : errors(too_long, exceptions))
        ADD_FAILURE() << error << " (see tests/style/size_exceptions.txt)";
}

// ---- the test's own tests ----

std::vector<std::pair<std::string, size_t>> functions_of(const std::string& text) {
    std::vector<std::pair<std::string, size_t>> functions;
    const Functions read(text);
    for (const Function& function : read.found()) functions.emplace_back(function.name, function.lines);
    return functions;
}

TEST(SizesOfFunctions, AreCountedFromTheFirstLineOfTheHead) {
    EXPECT_THAT(functions_of(
                    "namespace a {\n\nint f() {\n    return 1;\n}\n\n"
                    "Vm::Vm(int a,\n       int b)\n    : a_{a},\n      b_(b) {\n    if (a) {\n    }\n}\n}\n"),
                ElementsAre(Pair("f", 3), Pair("Vm::Vm", 7)));
    EXPECT_THAT(functions_of("template <typename T>\nbool operator==(T a, T b) {\n    return 1;\n}\n"
                             "TEST(Sizes, Fit) {\n    f();\n}\nconst auto g = [](int a) {\n    f(a);\n};\n"),
                ElementsAre(Pair("operator==", 4), Pair("Sizes.Fit", 3), Pair("g", 3)));
}

TEST(SizesOfFunctions, AreCountedInClassesToo) {
    EXPECT_THAT(
        functions_of(
            "struct S : T {\n    int f() const {\n        return 1;\n    }\n    int one() { return 1; }\n"
            "    class In {\n      public:\n        In()\n            : a(1) {\n            f();\n"
            "        }\n    };\n    int g(int a) {\n        return a;\n    }\n};\nvoid h() {\n}\n"),
        ElementsAre(Pair("f", 3), Pair("In", 4), Pair("g", 3), Pair("h", 2)));
}

TEST(SizesOfFunctions, AreNoMatterOfValuesAndProse) {
    EXPECT_THAT(functions_of("const std::set<int> a = {\n    1,\n};\nconstexpr int b[] = {\n    f(1),\n};\n"
                             "enum class C {\n    a,\n};\nint declared(int a);\nusing F = int(int);\n#define "
                             "M(a) {\n#define N(a) \\\n    f(a) /* as\n  before */ \\\n    g(a) {\n"),
                IsEmpty());
    EXPECT_THAT(functions_of("void f() {  // }\n    /* {\n} */ g(\"}\\\"\", '\"', 65'530);\n"
                             "    h(R\"x(\n}\n)x\");\n}\nvoid g() {\n}\n"),
                ElementsAre(Pair("f", 7), Pair("g", 2)));
}

std::string function_of(size_t lines) {
    std::string text = "void f() {\n";
    for (size_t i = 2; i < lines; i++) text += "    g();\n";
    return text + "}\n";
}

TEST(Sizes, OfFilesAndFunctionsHaveALimit) {
    TooLong too_long;
    look_at_file("a/long.cpp", std::string(450, '\n'), too_long);
    look_at_file("a/f.cpp", function_of(60), too_long);
    EXPECT_THAT(too_long, IsEmpty());
    look_at_file("a/long.py", std::string(451, '\n'), too_long);
    look_at_file("a/f.cpp", function_of(61), too_long);
    EXPECT_THAT(too_long, ElementsAre(Pair("a/f.cpp:f", "has 61 lines"), Pair("a/long.py", "has 451 lines")));
}

TEST(Sizes, OfFoldersCountPairs) {
    TooLong too_long;
    std::vector<std::string> files;
    for (char name = 'a'; name < 'a' + 15; name++)
        for (const char* ending : {".h", ".cpp"}) files.push_back(std::string("dir/") + name + ending);
    look_at_folders(files, too_long);
    EXPECT_THAT(too_long, IsEmpty());
    files.push_back("dir/z.py");
    look_at_folders(files, too_long);
    EXPECT_THAT(too_long, ElementsAre(Pair("dir", "has 16 pairs of sources")));
}

TEST(SizeExceptions, AreNeededAndReasoned) {
    const auto exceptions = exceptions_in("# comment\n\na.cpp:f one table\nb.cpp it is gone\nc.cpp\n");
    EXPECT_THAT(
        errors({{"a.cpp:f", "has 61 lines"}, {"c.cpp", "has 451 lines"}, {"d", "has 16 pairs of sources"}},
               exceptions),
        ElementsAre("d has 16 pairs of sources", "b.cpp is an exception and need not be one",
                    "c.cpp is an exception without a reason"));
}

}  // namespace
