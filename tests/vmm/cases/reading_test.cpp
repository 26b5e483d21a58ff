// Case files: every form of every key, and one message for each way to get it wrong.

#include "vmm/cases/reading.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/base/errors.h"
#include "vmm/cases/divergences.h"

namespace gpremap {
namespace {

using abi::Call;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Case> parse(const std::string& text) {
    return parse_cases(text, "t.toml");
}

// One case around the given calls and further keys.
Case one(const std::string& calls, const std::string& keys = "before = \"ab..\"") {
    return parse("[[case]]\nname = \"n\"\n" + keys + "\ncalls = [ " + calls + " ]\n").at(0);
}

CallAction call_of(const std::string& calls) {
    return std::get<CallAction>(one(calls).steps.at(0).action);
}

CallAction native(const std::string& call) {
    return call_of("{ native = { " + call + " }, returns = \"ENOMEM\" }");
}

std::string message_of(const std::string& text) {
    try {
        parse(text);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "nothing thrown";
}

std::string message_of_call(const std::string& calls, const std::string& keys = "before = \"ab..\"") {
    return message_of("[[case]]\nname = \"n\"\n" + keys + "\ncalls = [ " + calls + " ]\n");
}

std::string message_of_address(const std::string& address) {
    return message_of_call("{ native = { unmap = { at = " + address + ", len = 1 } }, returns = \"ok\" }");
}

Operand address(const std::string& text) {
    return native("unmap = { at = " + text + ", len = 1 }").args[0].value;
}

Operand length(const std::string& text) {
    return native("unmap = { at = 0, len = " + text + " }").args[1].value;
}

constexpr char window[] = "window";
constexpr char aperture_end[] = "end";
constexpr char nothing[] = "";

MATCHER_P3(Is, origin, granules, bytes, "") {
    const bool is_number = arg.kind == Operand::Kind::number && std::string(origin).empty();
    const bool is_address = arg.kind == Operand::Kind::address_of && arg.range == origin;
    return (is_number || is_address) && arg.granules == granules &&
           arg.offset == static_cast<uint64_t>(bytes);
}

std::vector<Operand> values_of(const CallAction& call) {
    std::vector<Operand> values;
    for (const Argument& argument : call.args) values.push_back(argument.value);
    return values;
}

constexpr char linux_ok[] = "{ linux = { old = 0, old_size = 1, new_size = 1 }, returns = 0 }";

TEST(Cases, the_example_of_the_contract) {
    const Case c = parse(R"(
[[case]]
name   = "expansion may move"
source = "gVisor"
before = "ab.."
calls  = [ { linux = { old = 0, old_size = 1, new_size = 2, flags = ["MAYMOVE"] }, returns = "elsewhere" } ]
after  = ".b.."
result = "a0"
)")[0];
    EXPECT_EQ(c.file, "t.toml");
    EXPECT_EQ(c.name, "expansion may move");
    EXPECT_EQ(c.source, "gVisor");
    EXPECT_EQ(c.before, "ab..");
    EXPECT_EQ(c.after, ".b..");
    EXPECT_EQ(c.result, "a0");
    EXPECT_EQ(c.granule, 4096u);
    const auto& call = std::get<CallAction>(c.steps.at(0).action);
    EXPECT_EQ(call.number, Call::linux_mremap);
    EXPECT_THAT(values_of(call), ElementsAre(Is(window, 0, 0), Is(nothing, 1, 0), Is(nothing, 2, 0),
                                             Is(nothing, 0, 1), Is(nothing, 0, 0)));
    EXPECT_EQ(c.steps[0].returns.kind, Returns::Kind::elsewhere);
}

TEST(Cases, every_form_of_an_address) {
    EXPECT_THAT(address("3"), Is(window, 3, 0));
    EXPECT_THAT(address("-3"), Is(window, -3, 0));
    EXPECT_THAT(address("\"1P+1B\""), Is(window, 1, 1));
    EXPECT_THAT(address("\"1P-1B\""), Is(window, 1, -1));
    EXPECT_THAT(address("\"-1B\""), Is(window, 0, -1));
    EXPECT_THAT(address("\"-2P+5B\""), Is(window, -2, 5));
    EXPECT_THAT(address("\"gpa:0x1000\""), Is(nothing, 0, 0x1000));
    EXPECT_THAT(address("\"gpa:4096\""), Is(nothing, 0, 4096));
    EXPECT_THAT(address("\"gpa:0xfffffffffffff000\""), Is(nothing, 0, 0xfffffffffffff000));
    EXPECT_THAT(address("\"end\""), Is(aperture_end, 0, 0));
    EXPECT_THAT(address("\"end-2P\""), Is(aperture_end, -2, 0));
    EXPECT_THAT(address("\"end-2P+1B\""), Is(aperture_end, -2, 1));
}

TEST(Cases, every_form_of_a_size) {
    EXPECT_THAT(length("3"), Is(nothing, 3, 0));
    EXPECT_THAT(length("-1"), Is(nothing, -1, 0));
    EXPECT_THAT(length("\"1P+1B\""), Is(nothing, 1, 1));
    EXPECT_THAT(length("\"4097B\""), Is(nothing, 0, 4097));
    EXPECT_THAT(length("\"max\""), Is(nothing, 0, -1));
    EXPECT_THAT(length("\"-4096B\""), Is(nothing, 0, -4096));
    EXPECT_THAT(length("\"0xfffffffffffff000\""), Is(nothing, 0, -4096));
}

TEST(Cases, wrong_addresses_and_sizes) {
    for (const char* wrong : {"\"\"", "\"1\"", "\"P\"", "\"1p\"", "\"1P1B\"", "\"1P+\"", "\"gpa:\"",
                              "\"gpa:1P\"", "\"gpa:0x\"", "\"end2P\"", "\"ending\"", "\"max\"", "1.5", "true",
                              "[0]", "\"gpa:0x10000000000000000\"", "\"+-1P\""})
        EXPECT_THAT(message_of_address(wrong),
                    HasSubstr("t.toml:4: key 'case[0].calls[0].native.unmap.at': expected an address"))
            << wrong;
    EXPECT_THAT(message_of_call("{ native = { unmap = { at = 0, len = \"end\" } }, returns = \"ok\" }"),
                HasSubstr("key 'case[0].calls[0].native.unmap.len': expected a size"));
}

TEST(Cases, arguments_of_the_personalities) {
    const CallAction netbsd = call_of(
        "{ netbsd = { old = 0, old_size = 1, new = 2, new_size = 3, flags = [\"FIXED\", \"REMAPDUP\"], align "
        "= 21 }, "
        "returns = 2 }");
    EXPECT_EQ(netbsd.number, Call::netbsd_mremap);
    EXPECT_THAT(netbsd.args[2].value, Is(window, 2, 0));
    EXPECT_THAT(netbsd.args[3].value, Is(nothing, 3, 0));
    EXPECT_EQ(netbsd.args[4].value.offset, 21u << 24 | 0x14u);

    const CallAction null_new =
        call_of("{ netbsd = { old = 0, old_size = 1, new_size = 3 }, returns = \"elsewhere\" }");
    EXPECT_THAT(null_new.args[2].value, Is(nothing, 0, 0));

    const CallAction utek = call_of(
        "{ utek = { from = 0, to = 2, len = 1, prot = \"rw\", flags = [\"RELEASE_ZFILL\"] }, returns = "
        "\"ok\" }");
    EXPECT_EQ(utek.number, Call::utek_mremap);
    EXPECT_EQ(utek.args[3].value.offset, 0x103u);

    const CallAction raw = call_of(
        "{ linux = { old = 0, old_size = 1, new_size = 1, flags = 8, new = 3 }, returns = \"EINVAL\" }");
    EXPECT_EQ(raw.args[3].value.offset, 8u);
    EXPECT_THAT(raw.args[4].value, Is(window, 3, 0));
}

TEST(Cases, further_calls_of_linux) {
    const CallAction map = call_of(
        "{ linux_mmap = { addr = 1, len = 2, prot = \"none\", flags = [\"SHARED\", \"FIXED\"] }, returns = 1 "
        "}");
    EXPECT_EQ(map.number, Call::linux_mmap);
    EXPECT_THAT(values_of(map),
                ElementsAre(Is(window, 1, 0), Is(nothing, 2, 0), Is(nothing, 0, 0), Is(nothing, 0, 0x11)));
    EXPECT_EQ(call_of("{ linux_madvise = { addr = 0, len = 1, advice = \"DONTNEED\" }, returns = \"ok\" }")
                  .args[2]
                  .value.offset,
              GPREMAP_LINUX_MADV_DONTNEED);
    EXPECT_THAT(message_of_call("{ linux_madvise = { addr = 0, len = 1, advice = \"X\" }, returns = 0 }"),
                HasSubstr("linux_madvise.advice': expected one of \"DONTNEED\""));
    EXPECT_THAT(message_of_call("{ linux_munmap = { addr = 0, len = 1 }, returns = 1 }"),
                HasSubstr("returns no address"));
}

TEST(Cases, protections_are_written_as_in_scenarios) {
    for (const auto& [text, bits] : {std::pair{"none", 0u}, {"---", 0u}, {"", 0u}, {"r", 1u}, {"r--", 1u}})
        EXPECT_EQ(
            native(fmt::format("protect = {{ at = 0, len = 1, prot = \"{}\" }}", text)).args[2].value.offset,
            bits)
            << text;
}

TEST(Cases, no_number_reaches_2_64_bytes) {
    EXPECT_THAT(address("4503599627370495"), Is(window, 4503599627370495, 0));
    EXPECT_THAT(address("-4503599627370495"), Is(window, -4503599627370495, 0));
    for (const char* wrong :
         {"4503599627370496", "-4503599627370496", "\"4503599627370496P\"", "\"4503599627370495P+4096B\"",
          "\"end-4503599627370496P\"", "9223372036854775807"})
        EXPECT_THAT(
            message_of_address(wrong),
            HasSubstr("unmap.at': expected fewer than 2^64 bytes, which are 4503599627370496 granules "
                      "of 4 KiB"))
            << wrong;
    EXPECT_THAT(
        message_of_call("{ linux = { old = 0, old_size = 1, new_size = 4503599627370498 }, returns = 0 }"),
        HasSubstr("linux.new_size': expected fewer than 2^64 bytes"));
    EXPECT_THAT(message_of_call("{ native = { map = { len = 8796093022208 } }, returns = \"ENOMEM\" }",
                                "granule = \"2MiB\"\nbefore = \"a\""),
                HasSubstr("8796093022208 granules of 2 MiB"));
}

TEST(Cases, arguments_of_the_native_calls) {
    EXPECT_EQ(native("map = { len = 1 }").args[3].value.offset, GPREMAP_FLAG_ANYWHERE);
    EXPECT_EQ(native("map = { at = 0, len = 1 }").args[2].value.offset, 3u);
    EXPECT_EQ(native("map = { at = 0, len = 1, prot = \"rx\" }").args[2].value.offset, 5u);
    EXPECT_EQ(native("map = { at = 0, len = 1, prot = \"\" }").args[2].value.offset, 0u);
    EXPECT_EQ(native("move = { from = 0, to = 1, len = 1, replace = true, keep_holes = true }")
                  .args[3]
                  .value.offset,
              GPREMAP_FLAG_REPLACE | GPREMAP_FLAG_KEEP_HOLES);
    EXPECT_EQ(native("move = { from = 0, len = 1 }").args[3].value.offset, GPREMAP_FLAG_ANYWHERE);
    EXPECT_EQ(native("grow = { at = 0, len = 1, new_len = 2, may_move = true }").args[3].value.offset,
              GPREMAP_FLAG_MAY_MOVE);
    EXPECT_EQ(native("alias = { from = 0, len = 1 }").args[3].value.offset, GPREMAP_PROT_PREVIOUS);
    EXPECT_EQ(native("snapshot = { from = 0, to = 1, len = 1, prot = \"r\" }").args[3].value.offset, 1u);
    EXPECT_EQ(native("exchange = { a = 0, b = 1, len = 1 }").number, Call::exchange);
    EXPECT_EQ(native("protect = { at = 0, len = 1, prot = \"r--\" }").args[2].value.offset, 1u);
    for (const auto& [name, number] : {std::pair{"unmap", Call::unmap},
                                       {"release", Call::release},
                                       {"lock", Call::lock},
                                       {"unlock", Call::unlock},
                                       {"pin", Call::pin},
                                       {"unpin", Call::unpin},
                                       {"seal", Call::seal}})
        EXPECT_EQ(native(std::string(name) + " = { at = 0, len = 1 }").number, number);
    const Case of_batch =
        one("{ native = { batch = [ { unmap = { at = 0, len = 1 } }, { map = { len = 1 } } ] }, "
            "returns = \"ENOMEM\" }");
    const auto& batch = std::get<BatchAction>(of_batch.steps.at(0).action);
    ASSERT_EQ(batch.calls.size(), 2u);
    EXPECT_EQ(batch.calls[1].number, Call::map);
}

TEST(Cases, pictures_bars_and_attributes) {
    const Case c = one(linux_ok, "before = \"a|bC_0.\"\nattrs = \"-slpx-\"");
    EXPECT_EQ(c.before, "abC_0.");
    EXPECT_EQ(c.after, c.before);
    EXPECT_THAT(c.bar, ElementsAre(false, true, false, false, false, false));
    EXPECT_THAT(c.attrs, ElementsAre(Attribute::none, Attribute::shared, Attribute::locked, Attribute::pinned,
                                     Attribute::sealed, Attribute::none));
}

TEST(Cases, faults_pairs_and_limits) {
    const Case c =
        one("{ fault = { at = 2, access = \"write\" } }",
            "before = \"ab..\"\nsame = [[0, 1]]\ndistinct = [[1, 2], [0, 3]]\nextents = 1\nlimit = 4\n"
            "lock_limit = 0\nmax_extents = 7\ngranule = \"2MiB\"");
    EXPECT_EQ(std::get<CaseFault>(c.steps[0].action).access, abi::FaultKind::write);
    EXPECT_THAT(c.same, ElementsAre(std::pair<int64_t, int64_t>(0, 1)));
    EXPECT_EQ(c.distinct.size(), 2u);
    EXPECT_EQ(c.extents, 1u);
    EXPECT_EQ(c.limit, 4u);
    EXPECT_EQ(c.lock_limit, 0u);
    EXPECT_EQ(c.max_extents, 7u);
    EXPECT_EQ(c.granule, 2u << 20);
}

TEST(Cases, errors_that_only_utek_has) {
    const Case c =
        one("{ utek = { from = 0, to = 1, len = 1, flags = [\"PREVIOUS\"] }, returns = \"EMCOLLIDE\" }");
    EXPECT_EQ(c.steps[0].returns.kind, Returns::Kind::error);
    EXPECT_EQ(c.steps[0].returns.value, GPREMAP_EMCOLLIDE);
}

TEST(Cases, wrong_pictures) {
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a?\""),
                HasSubstr("t.toml:3: key 'case[0].before': '?'"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"\""), HasSubstr("at least one granule"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"|a\""), HasSubstr("'|' cannot stand here"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a||b\""), HasSubstr("'|' cannot stand here"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a|\""), HasSubstr("a bar ends the picture"));
    EXPECT_THAT(message_of_call(linux_ok, "before = 3"), HasSubstr("expected a text in quotes, got 3"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"ab\"\nafter = \"abc\""),
                HasSubstr("t.toml:4: key 'case[0].after': expected as many granules as 'before'"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"ab\"\nattrs = \"-\""),
                HasSubstr("key 'case[0].attrs'"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"ab\"\nattrs = \"-q\""),
                HasSubstr("'q' is no attribute"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a.\"\nattrs = \"-s\""),
                HasSubstr("granule 1 is not mapped"));
}

TEST(Cases, messages_show_whole_characters) {
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a\u00e4\""),
                HasSubstr("before': '\u00e4' cannot stand"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"ab\"\nattrs = \"-\u20ac\""),
                HasSubstr("attrs': '\u20ac' is no attribute"));
}

TEST(Cases, an_empty_list_is_no_case) {
    EXPECT_THAT(message_of("case = []"), HasSubstr("t.toml:1: key 'case': expected at least one [[case]]"));
}

TEST(Cases, wrong_keys) {
    EXPECT_THAT(message_of("x = 1"), HasSubstr("t.toml:1: key 'x': unknown key"));
    EXPECT_THAT(message_of(""), HasSubstr("key 'case': missing"));
    EXPECT_THAT(message_of("[[case]]\nbefore = \"a\"\ncalls = []"), HasSubstr("key 'case[0].name': missing"));
    EXPECT_THAT(message_of("[[case]]\nname = \"n\"\nbefore = \"a\""),
                HasSubstr("key 'case[0].calls': missing"));
    EXPECT_THAT(message_of_call(""), HasSubstr("at least one call"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a\"\ncolour = 1"),
                HasSubstr("key 'case[0].colour': unknown key"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a\"\ngranule = \"1GiB\""),
                HasSubstr("\"4KiB\", \"2MiB\""));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a\"\nlimit = -1"), HasSubstr("key 'case[0].limit'"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a\"\nsame = [[0]]"),
                HasSubstr("a pair of granule indices"));
    EXPECT_THAT(message_of_call(linux_ok, "before = \"a\"\nname2 = 1"), HasSubstr("unknown key"));
    EXPECT_THAT(message_of("[[case]"), HasSubstr("t.toml:1: not TOML"));
}

TEST(Cases, wrong_calls) {
    EXPECT_THAT(message_of_call("{ returns = 0 }"),
                HasSubstr("exactly one of linux, netbsd, utek, native, fault"));
    EXPECT_THAT(message_of_call("{ linux = {}, utek = {}, returns = 0 }"), HasSubstr("exactly one of"));
    EXPECT_THAT(message_of_call("{ linux = { old = 0, old_size = 1, new_size = 1 } }"),
                HasSubstr("key 'case[0].calls[0].returns': missing"));
    EXPECT_THAT(message_of_call("{ linux = { old = 0, new_size = 1 }, returns = 0 }"),
                HasSubstr("key 'case[0].calls[0].linux.old_size': missing"));
    EXPECT_THAT(message_of_call("{ linux = { old = 0, old_size = 1, new_size = 1, to = 1 }, returns = 0 }"),
                HasSubstr("key 'case[0].calls[0].linux.to': unknown key"));
    EXPECT_THAT(message_of_call(
                    "{ linux = { old = 0, old_size = 1, new_size = 1, flags = [\"FXED\"] }, returns = 0 }"),
                HasSubstr("flags[0]': expected one of \"MAYMOVE\", \"FIXED\", \"DONTUNMAP\", got \"FXED\""));
    EXPECT_THAT(message_of_call("{ linux = { old = 0, old_size = 1, new_size = 1 }, returns = \"EWHAT\" }"),
                HasSubstr("returns': expected a granule index"));
    EXPECT_THAT(message_of_call("{ utek = { from = 0, to = 1, len = 1 }, returns = 1 }"),
                HasSubstr("returns no address"));
    EXPECT_THAT(message_of_call("{ utek = { from = 0, to = 1, len = 1, prot = \"rr\" }, returns = \"ok\" }"),
                HasSubstr("key 'case[0].calls[0].utek.prot': expected a protection"));
    EXPECT_THAT(message_of_call("{ native = { query = { at = 0, len = 1 } }, returns = \"ok\" }"),
                HasSubstr("native.query': unknown native call"));
    EXPECT_THAT(message_of_call("{ native = { batch = [ { batch = [] } ] }, returns = \"ok\" }"),
                HasSubstr("a batch cannot stand in a batch"));
    EXPECT_THAT(message_of_call("{ fault = { at = 0, access = \"execute\" } }"),
                HasSubstr("\"read\", \"write\""));
    EXPECT_THAT(message_of_call("{ fault = { at = 0, access = \"read\" }, returns = \"ok\" }"),
                HasSubstr("a fault returns nothing"));
    EXPECT_THAT(
        message_of_call("{ netbsd = { old = 0, old_size = 1, new_size = 1, align = 256 }, returns = 0 }"),
        HasSubstr("netbsd.align': expected an integer from 0 to 255"));
    EXPECT_THAT(message_of_call("{ native = { unmap = { at = 0, len = 1 } }, returns = \"ok\" }",
                                "before = \"a\"\nresult = \"a\""),
                HasSubstr("key 'case[0].result': no call returns an address"));
}

// UTek's manual: "a value of 0 is returned".
TEST(Cases, zero_is_what_a_call_without_an_address_returns) {
    const auto cases = parse_cases(
        "[[case]]\nname = \"n\"\nbefore = \"a.\"\n"
        "calls = [ { utek = { from = 0, to = 1, len = 1, flags = [\"PREVIOUS\"] }, returns = 0 } ]\n",
        "t.toml");
    EXPECT_EQ(cases[0].steps[0].returns.kind, Returns::Kind::ok);
}

// ---- where Linux differs ----

constexpr uint64_t P = 4096;

std::string_view id_of(const LinuxRemap& call, std::vector<LinuxMapping> before) {
    const Divergence* found = divergence_of(call, before);
    return found != nullptr ? found->id : "";
}

LinuxMapping shared(uint64_t begin, uint64_t end) {
    return {begin * P, end * P, true, false, false};
}
LinuxMapping plain(uint64_t begin, uint64_t end) {
    return {begin * P, end * P, false, false, false};
}
LinuxMapping sealed(uint64_t begin, uint64_t end) {
    return {begin * P, end * P, false, true, false};
}

TEST(Divergences, each_is_recognised_by_its_call) {
    EXPECT_EQ(id_of({0, 0, P, 3, 0}, {shared(0, 1)}), "duplicate-onto-itself");
    EXPECT_EQ(id_of({0, 3 * P, 3 * P, 3, 8 * P}, {plain(0, 1), plain(2, 3), plain(8, 11)}),
              "stale-under-gaps");
    EXPECT_EQ(id_of({0, 3 * P, 3 * P, 3, 8 * P}, {plain(0, 1), plain(10, 11)}), "stale-under-gaps");
    EXPECT_EQ(id_of({0, 2 * P, 2 * P, 3, 8 * P}, {plain(0, 1), sealed(1, 2)}), "partial-move");
    EXPECT_EQ(id_of({0, 2 * P, P, 3, 8 * P}, {plain(0, 1), sealed(1, 2), plain(8, 9)}), "late-failure");
    EXPECT_EQ(id_of({0, P, 2 * P, 1, 0}, {shared(0, 1)}), "shared-object");
    EXPECT_EQ(id_of({0, 0, 2 * P, 1, 0}, {shared(0, 1)}), "shared-object");
    EXPECT_EQ(id_of({0, 2 << 20, 4 << 20, 1, 0}, {{0, 2 << 20, false, false, true}}), "huge-grow");
}

TEST(Divergences, their_neighbours_are_none) {
    EXPECT_EQ(id_of({0, 0, P, 3, 0}, {plain(0, 1)}), "");
    EXPECT_EQ(id_of({0, 0, P, 3, 8 * P}, {shared(0, 1)}), "");
    EXPECT_EQ(id_of({0, 3 * P, 3 * P, 3, 8 * P}, {plain(0, 1), plain(2, 3), plain(8, 9)}), "");
    EXPECT_EQ(id_of({0, 2 * P, 2 * P, 3, 8 * P}, {sealed(0, 1), plain(1, 2)}), "");
    EXPECT_EQ(id_of({0, 2 * P, P, 3, 8 * P}, {plain(0, 1), sealed(1, 2)}), "");
    EXPECT_EQ(id_of({0, P, 2 * P, 1, 0}, {plain(0, 1)}), "");
    EXPECT_EQ(id_of({0, 2 * P, P, 0, 0}, {shared(0, 2)}), "");
}

}  // namespace
}  // namespace gpremap
