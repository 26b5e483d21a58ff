#include "vmm/config/combinations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<Combination> combinations(const std::string& text, const std::vector<std::string>& set = {}) {
    std::vector<ParameterSetting> settings;
    for (const std::string& each : set) settings.push_back(read_setting(each));
    return read_combinations(TomlFile::parse(text, "f.toml").root(), settings);
}

// "1a 1b 2a 2b": the values of each combination.
std::string written(const std::vector<Combination>& all) {
    std::string text;
    for (const Combination& each : all) {
        if (!text.empty()) text += " ";
        for (const ParameterAssignment& value : each) text += text_of(value.value);
    }
    return text;
}

std::string error_in(const std::string& text) {
    try {
        combinations(text);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

const std::string two = "[parameters]\nn = [1, 2, 3]\nw = ['a', 'b', 'c']\n";

TEST(Combinations, AreEachWithEach) {
    EXPECT_EQ(written(combinations(two)), "1a 1b 1c 2a 2b 2c 3a 3b 3c");
    EXPECT_THAT(combinations(""), ElementsAre(IsEmpty()));
    EXPECT_EQ(written(combinations("[parameters]\nx = 7\n")), "7");
}

TEST(Combinations, OfListsThatGoOnTogether) {
    EXPECT_EQ(written(combinations(two + "[sweep]\nzip = true\n")), "1a 2b 3c");
    EXPECT_EQ(written(combinations(two + "m = [7, 8]\n[sweep]\nzip = ['w', 'n']\n")),
              "1a7 1a8 2b7 2b8 3c7 3c8");
    EXPECT_THAT(combinations(two + "[sweep]\nzip = false\n"), SizeIs(9));
}

TEST(Combinations, ListsInSweepStandInPlaceOfOneValue) {
    const std::string text = "[parameters]\nn = 1\nw = 'a'\n[sweep]\nn = [2, 3]\nw = 'b'\n";
    EXPECT_EQ(written(combinations(text)), "2b 3b");
    EXPECT_EQ(written(combinations(text, {"n=9"})), "9b");
    EXPECT_EQ(written(combinations(text, {"n=[9,8]", "w=c"})), "9c 8c");
}

TEST(Combinations, WithoutTheExcluded) {
    EXPECT_EQ(written(combinations(two + "[sweep]\nexclude = [ { n = 1, w = 'b' }, { n = [2, 3] } ]\n")),
              "1a 1c");
    EXPECT_THAT(combinations("[parameters]\nn = [1]\n[sweep]\nexclude = [ { n = 1 } ]\n"), IsEmpty());
    EXPECT_EQ(written(combinations(two + "[sweep]\nzip = ['n', 'w']\n", {"n=5"})), "5a 5b 5c");
}

TEST(Combinations, ThatAreWrong) {
    EXPECT_EQ(error_in(two + "[sweep]\nm = [1]\n"),
              "f.toml:5: key 'sweep.m': no parameter 'm'; expected one of n, w");
    EXPECT_THAT(error_in(two + "[sweep]\nn = [1]\n"),
                HasSubstr("it is a list in [parameters], too (f.toml:2)"));
    EXPECT_THAT(error_in(two + "[sweep]\nzip = 1\n"), HasSubstr("expected true, or a list of parameters"));
    EXPECT_THAT(error_in(two + "[sweep]\nzip = ['x']\n"),
                HasSubstr("f.toml:5: key 'sweep.zip[0]': no parameter"));
    EXPECT_THAT(error_in(two + "m = 1\n[sweep]\nzip = ['m']\n"),
                HasSubstr("expected a parameter that is a list"));
    EXPECT_THAT(error_in(two + "m = [1]\n[sweep]\nzip = true\n"),
                HasSubstr("expected lists of one length, got n of 3 and m of 1"));
    EXPECT_THAT(error_in(two + "[sweep]\nexclude = [ { n = 4 } ]\n"),
                HasSubstr("4 is no value of 'n' (f.toml:2)"));
    EXPECT_THAT(error_in(two + "[sweep]\nexclude = [ { } ]\n"), HasSubstr("expected values of parameters"));
    EXPECT_THAT(error_in(two + "[sweep]\nexclude = [ { m = 1 } ]\n"), HasSubstr("no parameter 'm'"));
}

TEST(Combinations, AreNotTooMany) {
    std::string text = "[parameters]\n";
    for (char name = 'a'; name < 'r'; name++) text += std::string(1, name) + " = [1, 2]\n";
    EXPECT_THAT(error_in(text), HasSubstr("expected at most 100000 combinations"));
}

}  // namespace
}  // namespace gpremap
