#include "vmm/config/toml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/base/units.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

// What reading throws; empty where it throws nothing.
template <typename Read>
std::string error_of(Read read) {
    try {
        read();
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

TomlTable parse(std::string_view text) {
    return TomlFile::parse(text, "f.toml").root();
}

TEST(ParseSize, Hexadecimal) {
    EXPECT_EQ(parse_size("0x200000000"), 8ull << 30);
    EXPECT_EQ(parse_size(format_address(0x1234567)), 0x1234567u);
    EXPECT_EQ(format_address(16ull << 30), "0x400000000");
    for (const char* wrong : {"0x", "0xg", "0x1 MiB", "0x10000000000000000", "0x-1"})
        EXPECT_FALSE(parse_size(wrong)) << wrong;
}

TEST(ParseSize, Units) {
    EXPECT_EQ(parse_size("0"), 0u);
    EXPECT_EQ(parse_size("17"), 17u);
    EXPECT_EQ(parse_size("17B"), 17u);
    EXPECT_EQ(parse_size("4KiB"), 4096u);
    EXPECT_EQ(parse_size("256MiB"), 256ull << 20);
    EXPECT_EQ(parse_size("256 MiB"), 256ull << 20);
    EXPECT_EQ(parse_size("3GiB"), 3ull << 30);
    EXPECT_EQ(parse_size("2TiB"), 2ull << 40);
}

TEST(ParseSize, TopOfTheRange) {
    EXPECT_EQ(parse_size("18446744073709551615"), ~0ull);
    EXPECT_FALSE(parse_size("18446744073709551616"));
    EXPECT_EQ(parse_size("16777215TiB"), 16777215ull << 40);
    EXPECT_FALSE(parse_size("16777216TiB"));
    EXPECT_THAT(parse_size("99999999999999TiB").error(), HasSubstr("2^64"));
}

TEST(ParseSize, RejectsAnythingElse) {
    for (const char* text : {"", " ", "MiB", "-1", "+1", "1.5GiB", "1MB", "1mib", "1M", "1  MiB", "1 ",
                             "1MiB ", "0x1000 B", "1MiB2"})
        EXPECT_FALSE(parse_size(text)) << "'" << text << "'";
}

TEST(FormatSize, LargestExactUnit) {
    EXPECT_EQ(format_size(0), "0 B");
    EXPECT_EQ(format_size(4097), "4097 B");
    EXPECT_EQ(format_size(4096), "4 KiB");
    EXPECT_EQ(format_size(256ull << 20), "256 MiB");
    EXPECT_EQ(format_size(16ull << 30), "16 GiB");
    EXPECT_EQ(format_size(1536ull << 20), "1536 MiB");
}

TEST(TomlReader, NamesFileLineKeyAndBothSides) {
    TomlTable vm = parse("# a comment\n[vm]\nlimit = true\n").at("vm").table();
    EXPECT_EQ(error_of([&] { vm.at("limit").size(); }),
              "f.toml:3: key 'vm.limit': expected a size such as \"256MiB\" (units: B, KiB, MiB, GiB, TiB), "
              "got true");
}

TEST(TomlReader, NotToml) {
    EXPECT_THAT(error_of([] { parse("a = 1\nb = = 2\n"); }), HasSubstr("f.toml:2: not TOML"));
    EXPECT_THAT(error_of([] { parse("a = 1\na = 2\n"); }), HasSubstr("f.toml:2: not TOML"));
}

// toml++ destroys nested tables recursively: some ten thousand parts would end the program.
TEST(TomlReader, KeyOfTooManyParts) {
    std::string key = "a";
    for (int part = 1; part < 40'000; part++) key += ".a";
    for (const std::string& text : {key + " = 1", "[" + key + "]", "[[" + key + "]]", "x = {" + key + " = 1}",
                                    key, "y = [ \"\"\"a\"\"\"\", {" + key + " = 1} ]"})
        EXPECT_EQ(error_of([&] { parse("# one\n" + text + "\n"); }),
                  "f.toml:2: a key of more than 16 parts; expected one such as vm.limit")
            << text.substr(0, 20);
    EXPECT_THAT(error_of([] { parse("'a'. \"b\\\"\" .c.d.e.f.g.h.i.j.k.l.m.n.o.p.q = 1"); }),
                HasSubstr("more than 16 parts"));
}

TEST(TomlReader, DotsThatAreNotOfAKey) {
    const std::string dots(100, '.');
    for (const std::string& text :
         {std::string("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p = 1"), "'" + dots + "' = 1 # " + dots,
          "a = \"\\\"" + dots + "\"", "a = \"\"\"\n\"" + dots + "\n\"\"\"\nb = '''\n'" + dots + "'''",
          "a = '' # it's\nb = '" + dots + "'",
          std::string(
              "a = [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5,\n1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]")})
        EXPECT_EQ(error_of([&] { parse(text + "\n"); }), "") << text;
}

TEST(TomlReader, UnreadableFile) {
    EXPECT_THAT(error_of([] { TomlFile::read("/nonexistent/x.toml"); }),
                HasSubstr("/nonexistent/x.toml: cannot be read: No such file or directory"));
    EXPECT_THAT(error_of([] { TomlFile::read("/"); }), HasSubstr("/: cannot be read: Is a directory"));
}

TEST(TomlReader, UnknownKeyHasItsOwnLine) {
    TomlTable vm = parse("[vm]\nlimit = 1\nlimmit = 2\n").at("vm").table();
    EXPECT_EQ(error_of([&] {
                  vm.only({"limit", "vcpus"});
              }),
              "f.toml:3: key 'vm.limmit': unknown key; known here: limit, vcpus");
    EXPECT_EQ(error_of([&] { vm.only({"limit", "limmit"}); }), "");
}

TEST(TomlReader, QuotedKeyWithADotIsUnknown) {
    TomlTable vm = parse("[vm]\n\"x.limit\" = 1\n").at("vm").table();
    EXPECT_THAT(error_of([&] { vm.only({"limit"}); }), HasSubstr("f.toml:2: key 'vm.x.limit': unknown key"));
}

TEST(TomlReader, MissingKey) {
    TomlTable root = parse("\n[[step]]\nmap = {}\n");
    TomlTable map = root.at("step").tables().at(0).at("map").table();
    EXPECT_EQ(error_of([&] { map.at("size", "a size"); }),
              "f.toml:3: key 'step[0].map.size': missing; expected a size");
}

TEST(TomlReader, Integers) {
    TomlTable t = parse("n = 9\nneg = -1\ntext = 'x'\nhex = 0x1000\n");
    EXPECT_EQ(t.at("n").integer_in(1, 9), 9u);
    EXPECT_EQ(t.at("hex").size(), 4096u);
    EXPECT_EQ(error_of([&] { t.at("n").integer_in(1, 8); }),
              "f.toml:1: key 'n': expected an integer from 1 to 8, got 9");
    EXPECT_THAT(error_of([&] { t.at("neg").integer_in(0, 8); }), HasSubstr("got -1"));
    EXPECT_THAT(error_of([&] { t.at("neg").size(); }), HasSubstr("got -1"));
    EXPECT_THAT(error_of([&] { t.at("text").integer(); }), HasSubstr("expected an integer, got \"x\""));
}

TEST(TomlReader, SizeOverflow) {
    TomlTable t = parse("size = '16777216TiB'\n");
    EXPECT_EQ(error_of([&] { t.at("size").size(); }),
              "f.toml:1: key 'size': expected a size below 2^64 bytes, got \"16777216TiB\"");
}

TEST(TomlReader, OneOf) {
    TomlTable t = parse("backing = 'anon'\nother = 'file'\n");
    EXPECT_EQ(t.at("backing").one_of<int>({{"memfd", 1}, {"anon", 2}}), 2);
    EXPECT_EQ(error_of([&] {
                  t.at("other").one_of<int>({{"memfd", 1}, {"anon", 2}});
              }),
              "f.toml:2: key 'other': expected one of \"memfd\", \"anon\", got \"file\"");
}

TEST(TomlReader, ArraysNumberTheirElements) {
    TomlTable t = parse("flags = ['A', 3]\n");
    EXPECT_EQ(error_of([&] { t.at("flags").words(); }),
              "f.toml:1: key 'flags[1]': expected a text in quotes, got 3");
    EXPECT_THAT(error_of([&] { t.at("flags").table(); }), HasSubstr("expected a table, got an array"));
}

TEST(TomlReader, ValuesComeInTheOrderOfTheFile) {
    TomlTable t = parse("z = 1\na = 'x'\nm = ['A', 'B']\n");
    std::string order;
    for (const TomlValue& value : t.values()) order += value.name() + "=" + value.as_written() + " ";
    EXPECT_EQ(order, "z=1 a=x m=A|B ");
}

TEST(TomlReader, ValuesOutliveTheFile) {
    auto value = [] { return TomlFile::parse("[a]\nb = 'kept'\n", "f").root().at("a").table().at("b"); }();
    EXPECT_EQ(value.text(), "kept");
}

TEST(TomlReader, AByteOrderMarkBeginsAFileOrIsNone) {
    const std::string mark = "\xef\xbb\xbf";
    EXPECT_EQ(parse(mark + "a = 1\n").find("a")->integer(), 1);
    EXPECT_EQ(parse("a = 1 # " + mark + "\nb = '" + mark + "'\n").find("b")->text(), mark);
    for (const std::string& text : {"a = 1\n" + mark + "b = 1\n", "a = 1\n " + mark + "\n"}) {
        try {
            parse(text);
            ADD_FAILURE() << "accepted";
        } catch (const ConfigError& error) {
            EXPECT_THAT(error.what(), HasSubstr(":2: not TOML: a byte order mark")) << text;
        }
    }
}

}  // namespace
}  // namespace gpremap
