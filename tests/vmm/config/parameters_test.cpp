#include "vmm/config/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

template <typename Work>
std::string error_of(Work work) {
    try {
        work();
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

std::vector<ParameterSetting> settings(const std::vector<std::string>& texts) {
    std::vector<ParameterSetting> all;
    for (const std::string& text : texts) all.push_back(read_setting(text));
    return all;
}

TomlTable substituted(const std::string& text, const std::vector<std::string>& set = {}) {
    TomlFile file = TomlFile::parse(text, "f.toml");
    substitute_parameters(file, settings(set));
    return file.root();
}

std::string error_in(const std::string& text, const std::vector<std::string>& set = {}) {
    return error_of([&] { substituted(text, set); });
}

const std::string three = R"([parameters]
size = "64MiB"
times = 3
deep = true
[vm]
limit = "$size"
list = [
    1,
    "$times",
    { on = "${deep}" },
]
)";

TEST(Parameters, ComeWithTheirType) {
    const TomlTable vm = substituted(three).at("vm").table();
    EXPECT_EQ(vm.at("limit").text(), "64MiB");
    EXPECT_EQ(vm.at("list").array().at(1).integer(), 3);
    EXPECT_TRUE(vm.at("list").array().at(2).table().at("on").boolean());
}

TEST(Parameters, StandWithinATextAsText) {
    auto text = [](const std::string& value) {
        return substituted("[parameters]\na = \"x\"\nb_2 = 0.5\n[vm]\nt = \"" + value + "\"\nu = \"$a$b_2\"")
            .at("vm")
            .table()
            .at("t")
            .text();
    };
    EXPECT_EQ(text("heap+$a"), "heap+x");
    EXPECT_EQ(text("${a}b_2"), "xb_2");
    EXPECT_EQ(text("$a-$b_2"), "x-0.5");
    EXPECT_EQ(text("$$a"), "$a");
    EXPECT_EQ(text("$$"), "$");
    EXPECT_EQ(text("$${a}$$$a"), "${a}$x");
}

TEST(Parameters, AreWhatIsSet) {
    const TomlTable vm =
        substituted(three, {"size=1GiB", "times=7", "deep=false", "times=8"}).at("vm").table();
    EXPECT_EQ(vm.at("limit").text(), "1GiB");
    EXPECT_EQ(vm.at("list").array().at(1).integer(), 8);
    EXPECT_FALSE(vm.at("list").array().at(2).table().at("on").boolean());
}

TEST(Parameters, AreReturnedAsUsed) {
    TomlFile file = TomlFile::parse(three, "f.toml");
    EXPECT_THAT(substitute_parameters(file, settings({"times=9"})),
                ElementsAre(ParameterAssignment{"size", "64MiB"}, ParameterAssignment{"times", int64_t{9}},
                            ParameterAssignment{"deep", true}));
}

TEST(Parameters, AreNamedWhereTheirValueIsWrong) {
    const TomlTable vm = substituted(three, {"size=many"}).at("vm").table();
    EXPECT_THAT(error_of([&] { vm.at("limit").size(); }),
                StartsWith("f.toml:6: key 'vm.limit' (parameter size, --set size=many): expected a size"));
    EXPECT_THAT(error_of([&] { vm.at("list").array().at(1).text(); }),
                StartsWith("f.toml:9: key 'vm.list[1]' (parameter times, f.toml:3): expected a text"));
}

TEST(Parameters, ThatAreWrong) {
    EXPECT_THAT(error_in(three, {"width=1"}),
                "--set width=1: f.toml has no parameter 'width'; known are size, times, deep");
    EXPECT_THAT(error_in("[vm]\n", {"width=1"}), HasSubstr("it has no [parameters]"));
    EXPECT_THAT(error_in("[vm]\na = \"$b\"\n"),
                "f.toml:2: key 'vm.a': no parameter 'b': expected it in [parameters]");
    EXPECT_THAT(
        error_in("[parameters]\nb = 1\n"),
        "f.toml:2: key 'parameters.b': nothing uses this parameter; expected \"$b\" somewhere in the file");
    for (const char* name : {"9", "a-b", "\"\"", "\"ä\"", "zip", "exclude"})
        EXPECT_THAT(error_in(std::string("[parameters]\n") + name + " = 1\n"), HasSubstr("expected a"))
            << name;
    for (const char* value : {"{ a = 1 }", "2020-01-01", "[[1]]", "nan", "[]"})
        EXPECT_THAT(error_in(std::string("[parameters]\na = ") + value + "\n"), HasSubstr("f.toml:2"))
            << value;
    EXPECT_THAT(error_in("[parameters]\na = \"$b\"\nb = 1\n"), HasSubstr("uses no other parameter"));
    EXPECT_THAT(error_in("[parameters]\na = [1, 2, 1]\n"),
                "f.toml:2: key 'parameters.a[2]': 1 is in the list already");
    EXPECT_THAT(error_in("parameters = 1\n"), HasSubstr("expected a table"));
}

TEST(Parameters, ADollarWithoutAName) {
    for (const char* text : {"$", "a$", "$1", "${", "${a", "${}", "$-a", "${a b}"})
        EXPECT_THAT(error_in(std::string("[parameters]\na = 1\n[vm]\nt = \"") + text + "\"\nu = \"$a\"\n"),
                    StartsWith("f.toml:4: key 'vm.t': expected a parameter behind $"))
            << text;
}

TEST(Parameters, AListIsForSweeps) {
    const std::string text = "[parameters]\nsize = [\"1MiB\", \"2MiB\"]\n[vm]\nlimit = \"$size\"\n";
    EXPECT_EQ(
        error_in(text),
        "f.toml:2: parameter size is a list of 2: run all of it with gpremap sweep, or choose one value with "
        "--set size=1MiB");
    EXPECT_EQ(substituted(text, {"size=4MiB"}).at("vm").table().at("limit").text(), "4MiB");
}

TEST(Settings, AreReadAsTomlWhereTheyAreThat) {
    auto values = [](const std::string& text) { return read_setting("a=" + text).values; };
    EXPECT_THAT(values("1"), ElementsAre(ParameterValue(int64_t{1})));
    EXPECT_THAT(values("-0.5"), ElementsAre(ParameterValue(-0.5)));
    EXPECT_THAT(values("true"), ElementsAre(ParameterValue(true)));
    EXPECT_THAT(values("\"1\""), ElementsAre(ParameterValue("1")));
    EXPECT_THAT(values("[1, \"x\"]"), ElementsAre(ParameterValue(int64_t{1}), ParameterValue("x")));
    EXPECT_THAT(values("[64MiB,1]"), ElementsAre(ParameterValue("64MiB"), ParameterValue(int64_t{1})));
    for (const char* text :
         {"64MiB", "", "+1GiB", "a=b", "2020-01-01", "{x=1}", "'", "1\nb = 2", "inf", "x y"})
        EXPECT_THAT(values(text), ElementsAre(ParameterValue(text))) << text;
}

TEST(Settings, ThatAreWrong) {
    EXPECT_THAT(error_of([] { read_setting("size"); }), "--set size: expected NAME=VALUE, as in size=1GiB");
    EXPECT_THAT(error_of([] { read_setting("=1"); }), HasSubstr("is no name of a parameter"));
    EXPECT_THAT(error_of([] { read_setting("a=[]"); }), HasSubstr("expected a list of at least one value"));
    EXPECT_THAT(error_of([] { read_setting("a=[1,1]"); }), HasSubstr("in the list already"));
    EXPECT_THAT(error_of([] { read_setting("a=$b"); }), HasSubstr("uses no other parameter"));
}

TEST(Settings, AreWrittenAsTheyAreRead) {
    const std::vector<ParameterValue> all{true,   int64_t{-3}, 0.5,     1.0,   1e300, "1",
                                          "true", "1.5",       "64MiB", "",    "[1]", "a \"b\"",
                                          "\"",   "x\ny",      "ä",     "a=b", "inf", "'q'"};
    for (const ParameterValue& value : all)
        EXPECT_THAT(read_setting("a=" + setting_of(value)).values, ElementsAre(value)) << setting_of(value);
}

}  // namespace
}  // namespace gpremap
