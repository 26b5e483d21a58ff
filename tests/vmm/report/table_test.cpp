#include "vmm/report/table.h"

#include <gtest/gtest.h>

#include <sstream>

namespace gpremap {
namespace {

std::vector<std::string> lines_of_table(size_t width) {
    std::ostringstream out;
    StepResult step;
    step.call = "linux";
    step.summary = "heap new_size=8MiB flags=[MAYMOVE,FIXED] to=32GiB and some more that takes room";
    step.outcome = "moved to 0x800000000";
    step.record = CallRecord{};
    StepTable(out, Colour::none, width).print(step);
    std::vector<std::string> lines;
    std::istringstream in(out.str());
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

TEST(StepTable, FitsItsWidth) {
    for (size_t width : {42u, 60u, 80u, 110u, 140u, 1000u})
        for (const std::string& line : lines_of_table(width)) EXPECT_LT(line.size(), width) << line;
}

TEST(StepTable, IsAsWideAsUsual) {
    EXPECT_EQ(lines_of_table(110)[1].size(), 109u);
}

TEST(StepTable, GivesArgumentsTheRoomOfAWideTerminal) {
    EXPECT_EQ(lines_of_table(110).size(), 2u + 4);
    EXPECT_EQ(lines_of_table(220).size(), 2u + 2);
}

TEST(StepTable, LeavesOutWhatDoesNotFit) {
    EXPECT_NE(lines_of_table(80)[0].find("huge"), std::string::npos);
    EXPECT_EQ(lines_of_table(70)[0].find("system calls"), std::string::npos);
    EXPECT_NE(lines_of_table(20)[0].find("result"), std::string::npos);
}

}  // namespace
}  // namespace gpremap
