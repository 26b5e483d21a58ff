// The tables as a kernel reads them: from the root pointer to each one, with sums that are 0.
#include "vmm/guests/linux/acpi_tables.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

namespace gpremap {
namespace {

class AcpiTables : public testing::Test {
  protected:
    AcpiTables() { write_acpi_tables(memory_, 3); }

    template <typename T>
    T at(uint64_t address) const {
        T value;
        std::memcpy(&value, memory_.data() + address, sizeof value);
        return value;
    }
    std::string text(uint64_t address, size_t size) const {
        return {reinterpret_cast<const char*>(memory_.data()) + address, size};
    }
    unsigned sum(uint64_t address, uint64_t size) const {
        unsigned all = 0;
        for (uint64_t i = 0; i < size; i++) all += static_cast<unsigned>(memory_[address + i]);
        return all & 0xff;
    }
    uint64_t xsdt() const { return at<uint64_t>(acpi_tables_address + 24); }
    // The address of the table with that signature which the XSDT lists; 0: none.
    uint64_t listed(const std::string& signature) const {
        const auto size = at<uint32_t>(xsdt() + 4);
        for (uint64_t entry = xsdt() + 36; entry < xsdt() + size; entry += 8)
            if (text(at<uint64_t>(entry), 4) == signature) return at<uint64_t>(entry);
        return 0;
    }

    std::vector<std::byte> memory_ = std::vector<std::byte>(1 << 20);
};

TEST_F(AcpiTables, AreFoundFromTheRoot) {
    EXPECT_EQ(text(acpi_tables_address, 8), "RSD PTR ");
    EXPECT_EQ(sum(acpi_tables_address, 20), 0u);
    EXPECT_EQ(sum(acpi_tables_address, 36), 0u);
    EXPECT_EQ(text(xsdt(), 4), "XSDT");
    ASSERT_NE(listed("FACP"), 0u);
    ASSERT_NE(listed("APIC"), 0u);
    const auto dsdt = at<uint64_t>(listed("FACP") + 140);
    EXPECT_EQ(text(dsdt, 4), "DSDT");
    for (const uint64_t table : {xsdt(), listed("FACP"), listed("APIC"), dsdt})
        EXPECT_EQ(sum(table, at<uint32_t>(table + 4)), 0u) << text(table, 4);
}

TEST_F(AcpiTables, ListEachProcessorAndOneIoApic) {
    const uint64_t madt = listed("APIC");
    std::vector<unsigned> processors;
    unsigned io_apics = 0;
    for (uint64_t entry = madt + 44; entry < madt + at<uint32_t>(madt + 4); entry += at<uint8_t>(entry + 1)) {
        if (at<uint8_t>(entry) == 0) processors.push_back(at<uint8_t>(entry + 3));
        if (at<uint8_t>(entry) == 1) io_apics++;
    }
    EXPECT_EQ(processors, (std::vector<unsigned>{0, 1, 2}));
    EXPECT_EQ(io_apics, 1u);
}

TEST_F(AcpiTables, PackagesOfTheDsdtEndWhereItEnds) {
    const auto dsdt = at<uint64_t>(listed("FACP") + 140);
    const uint64_t end = dsdt + at<uint32_t>(dsdt + 4);
    auto package_end = [&](uint64_t lead) {
        return lead + ((at<uint8_t>(lead) & 0xf) | static_cast<uint64_t>(at<uint8_t>(lead + 1)) << 4);
    };
    const uint64_t scope = dsdt + 36;
    ASSERT_EQ(at<uint8_t>(scope), 0x10);
    EXPECT_EQ(package_end(scope + 1), end);
    EXPECT_EQ(text(scope + 3, 5), "\\_SB_");
    EXPECT_EQ(at<uint16_t>(scope + 8), 0x825b);
    EXPECT_EQ(package_end(scope + 10), end);
    EXPECT_EQ(text(scope + 12, 4), "COM1");
}

}  // namespace
}  // namespace gpremap
