#include "vmm/control/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm/control/arguments.h"
#include "vmm/control/methods.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

// Of a line with one entry: the name of what it is refused for, or the method.
std::string read_as(const std::string& line) {
    const Incoming incoming = read_line(line);
    EXPECT_EQ(incoming.entries.size(), 1u);
    if (const auto* request = std::get_if<Request>(&incoming.entries.at(0))) return request->method;
    return std::get<JsonObject>(incoming.entries.at(0))["error"]["data"]["name"];
}

TEST(Protocol, ReadsARequest) {
    const Incoming incoming =
        read_line(R"({"jsonrpc":"2.0","id":"a","method":"query","params":{"range":"heap"}})");
    const auto& request = std::get<Request>(incoming.entries.at(0));
    EXPECT_EQ(request.id, "a");
    EXPECT_TRUE(request.wants_answer);
    EXPECT_EQ(request.params["range"], "heap");
    EXPECT_FALSE(
        std::get<Request>(read_line(R"({"jsonrpc":"2.0","method":"query"})").entries.at(0)).wants_answer);
}

TEST(Protocol, RefusesWhatIsNoRequest) {
    for (const char* line : {"", "{", "x", "\"", "{\"a\":\xff}", "nul"})
        EXPECT_EQ(read_as(line), "not_json") << line;
    for (const char* line : {"1", "\"x\"", "{}", "[]", R"({"jsonrpc":"1.0","id":1,"method":"query"})",
                             R"({"jsonrpc":"2.0","id":1})", R"({"jsonrpc":"2.0","id":{},"method":"query"})",
                             R"({"jsonrpc":"2.0","id":1,"method":7})",
                             R"({"jsonrpc":"2.0","id":1,"method":"query","params":[]})"})
        EXPECT_EQ(read_as(line), "no_request") << line;
    EXPECT_EQ(read_as(std::string(60000, '[')), "not_json");
    EXPECT_EQ(read_as(std::string(30000, '[') + std::string(30000, ']')), "not_json");
    std::string many = "[1";
    for (size_t i = 0; i < most_in_batch; i++) many += ",1";
    EXPECT_EQ(read_as(many + "]"), "too_much");
}

TEST(Protocol, AnAnswerIsALine) {
    const std::string line = line_of(answer_to("a\nb", JsonObject{{"text", "c\nd\xff"}}));
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    EXPECT_EQ(JsonObject::parse(line)["id"], "a\nb");
}

TEST(Protocol, ErrorsHaveStableCodes) {
    std::string codes;
    for (const ErrorRow& row : error_rows())
        codes += std::to_string(static_cast<int>(row.code)) + " " + std::string(row.name) + "\n";
    EXPECT_EQ(codes,
              "-32700 not_json\n-32600 no_request\n-32601 unknown_call\n-32602 bad_arguments\n-32603 defect\n"
              "-32000 refused\n-32001 paused\n-32002 busy\n-32003 no_such\n-32004 ending\n-32005 too_late\n"
              "-32006 not_written\n-32007 too_much\n");
}

// ---- the table ----

std::string problem_of(const std::string& call, const JsonObject& arguments) {
    try {
        const Method& method = method_named(call);
        check_arguments(method, arguments);
        if (method.row) read_action(*method.row, arguments);
    } catch (const CallError& error) {
        return error.what();
    }
    return "";
}

TEST(Methods, EveryCallOfTheCatalogueIsOne) {
    for (const CallRow& row : catalogue()) EXPECT_NO_THROW(method_named(row.verb)) << row.verb;
}

TEST(Methods, AcceptWhatScenariosMay) {
    EXPECT_EQ(problem_of("grow", {{"range", "heap"}, {"new_size", "+4MiB"}, {"may_move", true}}), "");
    EXPECT_EQ(problem_of("linux", {{"range", "heap"}, {"new_size", 8192}, {"flags", {"MAYMOVE"}}}), "");
    EXPECT_EQ(problem_of("map", {{"name", "a"}, {"at", 1ull << 63}, {"size", 0xffff'ffff'ffff'f000}}), "");
    EXPECT_EQ(problem_of("netbsd", {{"range", "heap"}, {"align", 21}}), "");
    EXPECT_EQ(problem_of("linux_madvise", {{"range", "heap"}, {"advice", "DONTNEED"}}), "");
}

TEST(Methods, SayWhatWasExpected) {
    EXPECT_THAT(problem_of("grow", {{"range", "heap"}}), HasSubstr("missing new_size"));
    EXPECT_THAT(problem_of("grow", {{"range", "heap"}, {"new_size", "x"}}), HasSubstr("grow.new_size"));
    EXPECT_THAT(problem_of("grow", {{"range", "4KiB"}, {"new_size", "8KiB"}}), HasSubstr("name of a range"));
    EXPECT_THAT(problem_of("grow", {{"size", "4KiB"}, {"new_size", "8KiB"}}),
                HasSubstr("missing range or at"));
    EXPECT_THAT(problem_of("job", {{"id", -1}}), HasSubstr("0 or more"));
    EXPECT_THAT(problem_of("job", {{"id", 1.5}}), HasSubstr("0 or more"));
    EXPECT_THAT(problem_of("stats", {{"id", 1}}), HasSubstr("id: unknown; known: none"));
    EXPECT_THAT(problem_of("resize", {{"range", "a"}, {"new_size", "1MiB"}, {"deadline", "soon"}}),
                HasSubstr("seconds"));
    EXPECT_THAT(problem_of("protect", {{"range", "heap"}, {"prot", "x?"}}), HasSubstr("prot"));
}

}  // namespace
}  // namespace gpremap
