// What a scenario says of itself.
#include "vmm/page/header.h"

#include <gtest/gtest.h>

namespace gpremap {
namespace {

TEST(Header, JoinsLinesAndLeavesCommandsOut) {
    const ScenarioHeader header = header_of(
        "# Question: what does it\n# cost?\n#\n#     gpremap run a.toml\n#\n# Answer: look at `x`.\n# "
        "There.\n[vm]\n# later\n");
    EXPECT_EQ(header.question, "what does it cost?");
    EXPECT_EQ(header.answer, "look at `x`. There.");
}

TEST(Header, TakesAQuestionOfSomebody) {
    EXPECT_EQ(header_of("# Question (of others): why: so?\n").question, "why: so?");
}

TEST(Header, IsEmptyWithoutOne) {
    for (const char* text : {"", "[vm]\n# Question: no\n", "# Questions\n# Answer\n", "#"}) {
        EXPECT_EQ(header_of(text).question, "") << text;
        EXPECT_EQ(header_of(text).answer, "") << text;
    }
}

}  // namespace
}  // namespace gpremap
