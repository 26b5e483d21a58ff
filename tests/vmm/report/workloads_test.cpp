// What came of workloads, as JSON and as CSV.
#include "vmm/report/workloads.h"

#include <gtest/gtest.h>

namespace gpremap {
namespace {

TEST(WorkloadJson, HasAllOfIt) {
    WorkloadResult writer;
    writer.name = "writer";
    writer.vcpu = 1;
    writer.does = "touch";
    writer.range = "heap";
    writer.ops = 1000;
    writer.bytes = 8000;
    writer.seconds = 0.5;
    writer.asked_per_s = 2500;
    writer.achieved_per_s = 2000;
    writer.latency = {1000, 1, 2, 3, 4, 5, 6};
    writer.beside_calls = {10, 7, 8, 9, 10, 11, 12};
    writer.faults = 3;
    writer.events = {{"gap", 5, 20}};
    writer.dropped = 2;
    writer.values = {{"x", 1.5}};
    const JsonObject json = json_of(writer);
    EXPECT_EQ(
        json.dump(),
        R"({"name":"writer","vcpu":1,"do":"touch","range":"heap","ops":1000,"bytes":8000,"seconds":0.5,)"
        R"("asked_per_s":2500.0,"achieved_per_s":2000.0,)"
        R"("latency_ns":{"n":1000,"p50":1,"p90":2,"p99":3,"p99_9":4,"p99_99":5,"max":6},)"
        R"("beside_calls":{"n":10,"p50":7,"p90":8,"p99":9,"p99_9":10,"p99_99":11,"max":12},)"
        R"("histogram":{"upto_ns":[],"quiet":[],"beside_calls":[]},"faults":3,)"
        R"("events":[{"name":"gap","begin_ns":5,"ns":20}],"dropped":2,"values":{"x":1.5},"ok":true,"problem":null})");
}

TEST(WorkloadJson, SaysWhatThereIsNot) {
    WorkloadResult jitter;
    jitter.ok = false;
    jitter.problem = "why";
    const JsonObject json = json_of(jitter);
    EXPECT_TRUE(json["range"].is_null());
    EXPECT_TRUE(json["asked_per_s"].is_null());
    EXPECT_EQ(json["events"], JsonObject::array());
    EXPECT_EQ(json["values"], JsonObject::object());
    EXPECT_EQ(json["problem"], "why");
}

TEST(SeriesCsv, HasALineForEachSample) {
    EXPECT_EQ(csv_of({}), "workload,vcpu,t_ns,ops,bytes,max_ns\n");
    EXPECT_EQ(
        csv_of({{"writer", 1, {10, 20}, {3, 4}, {24, 32}, {7, 8}}, {"a,\"b\"", 2, {11}, {1}, {8}, {9}}}),
        "workload,vcpu,t_ns,ops,bytes,max_ns\n"
        "writer,1,10,3,24,7\n"
        "writer,1,20,4,32,8\n"
        "\"a,\"\"b\"\"\",2,11,1,8,9\n");
}

}  // namespace
}  // namespace gpremap
