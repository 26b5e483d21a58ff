// The core stays pure: remap/ includes the C++ standard library, tl::expected and its own headers only.
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

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

// What `source` includes and may not. An include by macro, or any that cannot be read, is one of them.
std::vector<std::string> foreign_includes(std::istream& source) {
    static const std::regex directive(R"(^\s*(?:#|%:)\s*(?:include|include_next|import)\b\s*(.*))");
    static const std::regex header(R"(^(<[^>]+>|"[^"]+"))");
    std::vector<std::string> foreign;
    for (std::string line; std::getline(source, line);) {
        std::smatch included;
        if (!std::regex_search(line, included, directive)) continue;
        const std::string operand = included[1];
        std::smatch name;
        const std::string found = std::regex_search(operand, name, header) ? name[1].str() : operand;
        if (!allowed(found)) foreign.push_back(found);
    }
    return foreign;
}

std::vector<std::string> foreign_includes_of(const std::string& text) {
    std::istringstream source(text);
    return foreign_includes(source);
}

std::vector<std::filesystem::path> sources_of_the_core() {
    std::vector<std::filesystem::path> sources;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::filesystem::path(PROJECT_DIR) / "remap")) {
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

}  // namespace
