// One name, one type: two classes of one name in one namespace are one to the linker, which takes the functions of
// either. The compiler does not see it where no source includes both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// Namespace and name, as "gpremap::remap::Range"; of types that are defined in no function, class or unnamed namespace.
std::set<std::string> types_in(std::istream& source) {
    static const std::regex opening(R"(^namespace ([\w:]*) ?\{$)"), closing(R"(^\}  // namespace)"),
        type(R"(^(?:class|struct|enum class) (\w+)(?: final)?(?: :.*)?(?: \{| \{\};|)$)");
    std::set<std::string> types;
    std::vector<std::string> within;
    std::smatch found;
    for (std::string line; std::getline(source, line);) {
        if (std::regex_search(line, found, opening)) {
            within.push_back(found[1]);
        } else if (std::regex_search(line, closing) && !within.empty()) {
            within.pop_back();
        } else if (std::regex_search(line, found, type) && !within.empty() && !within.back().empty()) {
            std::string name;
            for (const std::string& space : within) name += space + "::";
            types.insert(name + found[1].str());
        }
    }
    return types;
}

TEST(Names, AreOfOneTypeEach) {
    std::map<std::string, std::string> defined;  // the file in which each is
    for (const char* folder : {"remap", "guest/abi", "guest/runtime", "vmm"})
        for (const auto& entry : fs::recursive_directory_iterator(fs::path(PROJECT_DIR) / folder)) {
            if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
            std::ifstream source(entry.path());
            for (const std::string& type : types_in(source)) {
                const std::string file = fs::relative(entry.path(), PROJECT_DIR).string();
                const auto [first, is_new] = defined.try_emplace(type, file);
                EXPECT_TRUE(is_new) << type << " is defined in " << first->second << " and in " << file;
            }
        }
    EXPECT_GT(defined.size(), 150u);
}

TEST(Names, AreSeenWhereTheyAre) {
    std::istringstream source(
        "namespace gpremap {\nnamespace {\nclass Hidden {\n};\n}  // namespace\nclass Seen final : public A "
        "{\n"
        "    struct Inner {\n};\nstruct Declared;\n}  // namespace gpremap\n");
    EXPECT_THAT(types_in(source), testing::ElementsAre("gpremap::Seen"));
}

}  // namespace
