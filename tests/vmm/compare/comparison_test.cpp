#include "vmm/compare/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace gpremap {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t MiB = 1ull << 20;
constexpr Resizing grow{128 * MiB, 256 * MiB};

Measured measured(uint64_t guest_ns) {
    Measured measured;
    measured.guest = guest_ns;
    measured.install = 1'000'000;
    measured.host_after = 128 * MiB;
    return measured;
}

CompareFacts facts_on(const std::string& processor) {
    CompareFacts facts;
    facts.host.cpu = processor;
    facts.repeat = 1;
    return facts;
}

QemuFacts emulating_qemu() {
    QemuFacts qemu;
    qemu.accelerator = Accelerator::emulation;
    return qemu;
}

Comparison compare(const CompareFacts& facts) {
    Comparison comparison(facts);
    comparison.add(Way::gpremap, grow, measured(1'000'000));
    comparison.add(Way::gpremap_linux, grow, measured(3'000'000));
    if (facts.qemu) comparison.add(Way::virtio_mem, grow, measured(9'000'000));
    comparison.set_linux_release("6.12");
    return comparison;
}

std::string table_of(const Comparison& comparison) {
    std::ostringstream table;
    comparison.print(table);
    return table.str();
}

TEST(Comparison, OfOursAloneHasNoQemu) {
    const Comparison comparison = compare(facts_on("a processor"));
    const JsonObject json = comparison.json();
    EXPECT_TRUE(json["qemu"].is_null());
    EXPECT_EQ(json["gpremap_linux"]["guest"], "6.12");
    EXPECT_EQ(json["rows"][1]["way"], "gpremap-linux");
    EXPECT_EQ(json["rows"][1]["guest_ns"]["emulated"], false);
    EXPECT_EQ(json["rows"][1]["ratio"], 3.0);
    EXPECT_TRUE(json["rows"][1]["event_ns"].is_null());
    EXPECT_THAT(table_of(comparison), Not(HasSubstr("QEMU ")));
    EXPECT_THAT(table_of(comparison), HasSubstr("gpremap-linux: Linux 6.12"));
}

TEST(Comparison, OfAnEmulatingQemuItsFiguresAreDistorted) {
    CompareFacts facts = facts_on("a processor");
    facts.qemu = emulating_qemu();
    const JsonObject rows = compare(facts).json()["rows"];
    EXPECT_EQ(rows[1]["guest_ns"]["emulated"], false);
    EXPECT_EQ(rows[1]["ratio"], 3.0);
    EXPECT_EQ(rows[2]["guest_ns"]["emulated"], true);
    EXPECT_TRUE(rows[2]["ratio"].is_null());
    EXPECT_THAT(table_of(compare(facts)), HasSubstr("~ distorted: the guest's instructions were emulated"));
}

TEST(Comparison, WhereTheHostIsEmulatedAllFiguresAreDistorted) {
    const Comparison comparison = compare(facts_on("QEMU TCG CPU version 2.5+"));
    const JsonObject json = comparison.json();
    for (const JsonObject& row : json["rows"]) {
        EXPECT_EQ(row["guest_ns"]["emulated"], true) << row;
        EXPECT_EQ(row["host_bytes"]["emulated"], false) << row;
        EXPECT_TRUE(row["ratio"].is_null()) << row;
    }
    EXPECT_THAT(table_of(comparison), HasSubstr("~ distorted: this host's instructions are emulated"));
}

}  // namespace
}  // namespace gpremap
