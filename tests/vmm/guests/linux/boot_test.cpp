// Kernels as files, good and broken, and what they find in memory.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"
#include "vmm/guests/linux/boot_x86_64.h"
#include "vmm/guests/linux/kernel_image.h"

namespace gpremap {
namespace {

using testing::HasSubstr;

constexpr uint64_t place = abi::agent_base + abi::agent_size;
constexpr uint64_t memory_size = place + (64ull << 20);

template <typename T>
void put(std::string& file, size_t at, const T& value) {
    std::memcpy(file.data() + at, &value, sizeof value);
}

// Two sectors of setup, and a page of code that is all 0x90.
std::string bzimage() {
    std::string file(2 * 512, 0);
    put(file, 0x1f1, uint8_t{1});
    put(file, 0x201, uint8_t{0x66});
    put(file, 0x202, uint32_t{0x53726448});
    put(file, 0x206, uint16_t{0x20f});
    put(file, 0x230, uint32_t{2 << 20});
    put(file, 0x234, uint8_t{1});
    put(file, 0x236, uint16_t{1});
    put(file, 0x260, uint32_t{4 << 20});
    return file + std::string(4096, '\x90');
}

// One segment at 16 MiB, as a kernel is linked.
std::string vmlinux() {
    std::string file(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), 0);
    Elf64_Ehdr header = {};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 1;
    header.e_phoff = sizeof header;
    header.e_entry = (16 << 20) + 0x40;
    Elf64_Phdr segment = {};
    segment.p_type = PT_LOAD;
    segment.p_offset = file.size();
    segment.p_paddr = 16 << 20;
    segment.p_filesz = 4096;
    segment.p_memsz = 8 << 20;
    put(file, 0, header);
    put(file, sizeof header, segment);
    return file + std::string(4096, '\x91');
}

class Boot : public testing::Test {
  protected:
    LoadedKernel load(const std::string& file) { return load_kernel(memory_, place, file, "k"); }
    std::string complaint(std::string file, const std::function<void(std::string&)>& spoil) {
        spoil(file);
        try {
            load(file);
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "";
    }
    template <typename T>
    T at(uint64_t address) const {
        T value;
        std::memcpy(&value, memory_.data() + address, sizeof value);
        return value;
    }

    std::vector<std::byte> memory_ = std::vector<std::byte>(memory_size);
};

TEST_F(Boot, LoadsABzimage) {
    const LoadedKernel kernel = load(bzimage());
    EXPECT_EQ(kernel.entry, place + 0x200);
    EXPECT_EQ(kernel.end, place + (4 << 20));
    EXPECT_EQ(at<uint8_t>(place), 0x90);
    EXPECT_EQ(kernel.setup.size(), 0x202 + 0x66 - 0x1f1u);
}

TEST_F(Boot, LoadsAVmlinuxElsewhereThanItIsLinked) {
    const LoadedKernel kernel = load(vmlinux());
    EXPECT_EQ(kernel.entry, place + 0x40);
    EXPECT_EQ(kernel.end, place + (8 << 20));
    EXPECT_EQ(at<uint8_t>(place), 0x91);
}

TEST_F(Boot, SaysWhatIsWrongWithAKernel) {
    EXPECT_THAT(complaint("no kernel at all", [](auto&) {}), HasSubstr("expected a kernel"));
    EXPECT_THAT(complaint("", [](auto&) {}), HasSubstr("expected a kernel"));
    EXPECT_THAT(complaint(bzimage(), [](auto& file) { put(file, 0x206, uint16_t{0x204}); }),
                HasSubstr("boot protocol"));
    EXPECT_THAT(complaint(bzimage(), [](auto& file) { put(file, 0x236, uint16_t{0}); }),
                HasSubstr("64-bit entry"));
    EXPECT_THAT(complaint(bzimage(), [](auto& file) { put(file, 0x234, uint8_t{0}); }),
                HasSubstr("CONFIG_RELOCATABLE"));
    EXPECT_THAT(complaint(bzimage(), [](auto& file) { put(file, 0x1f1, uint8_t{200}); }), HasSubstr("whole"));
    EXPECT_THAT(complaint(bzimage(), [](auto& file) { put(file, 0x260, ~uint32_t{0}); }),
                HasSubstr("linux.memory is too small"));
    EXPECT_THAT(complaint(vmlinux(), [](auto& file) { file.resize(file.size() - 1); }), HasSubstr("whole"));
    EXPECT_THAT(complaint(vmlinux(), [](auto& file) { file.resize(sizeof(Elf64_Ehdr) + 1); }),
                HasSubstr("whole"));
    EXPECT_THAT(complaint(vmlinux(), [](auto& file) { put(file, 18, uint16_t{EM_AARCH64}); }),
                HasSubstr("64-bit kernel"));
    // A second segment that would come to lie below the first, and end the kernel there.
    EXPECT_THAT(complaint(vmlinux(),
                          [](auto& file) {
                              Elf64_Phdr first, far = {};
                              std::memcpy(&first, file.data() + sizeof(Elf64_Ehdr), sizeof first);
                              far.p_type = PT_LOAD;
                              far.p_paddr = first.p_paddr - place;
                              far.p_memsz = 4096;
                              file.insert(sizeof(Elf64_Ehdr) + sizeof far, sizeof far, 0);
                              put(file, sizeof(Elf64_Ehdr) + sizeof far, far);
                              put(file, 56, uint16_t{2});  // e_phnum
                          }),
                HasSubstr("linux.memory is too small"));
}

TEST_F(Boot, PutsTheInitramfsAtTheEndAndSaysWhere) {
    write_boot_data(memory_, load(bzimage()), {std::string(5000, 'i'), "console=ttyS0"}, 0xe0000);
    constexpr uint64_t parameters = 0x7000;
    const auto initramfs = at<uint32_t>(parameters + 0x218);
    EXPECT_EQ(initramfs, memory_size - 8192);
    EXPECT_EQ(at<uint32_t>(parameters + 0x21c), 5000u);
    EXPECT_EQ(at<char>(initramfs + 4999), 'i');
    EXPECT_STREQ(reinterpret_cast<const char*>(memory_.data()) + at<uint32_t>(parameters + 0x228),
                 "console=ttyS0");
    EXPECT_EQ(at<uint64_t>(parameters + 0x70), 0xe0000u);
    EXPECT_EQ(at<uint32_t>(parameters + 0x202), 0x53726448u);
}

// What the kernel takes for RAM is neither the agent's memory nor beyond the end.
TEST_F(Boot, TheMapOfMemoryLeavesTheAgentOut) {
    write_boot_data(memory_, load(vmlinux()), {"i", ""}, 0xe0000);
    constexpr uint64_t entries = 0x72d0;
    ASSERT_EQ(at<uint8_t>(0x71e8), 3);
    uint64_t end = 0;
    for (uint64_t i = 0; i < 3; i++) {
        const uint64_t entry = entries + i * 20;
        EXPECT_EQ(at<uint64_t>(entry), end);
        end += at<uint64_t>(entry + 8);
        const bool is_ram = at<uint32_t>(entry + 16) == 1;
        EXPECT_EQ(is_ram, i != 1);
    }
    EXPECT_EQ(at<uint64_t>(entries + 40), place);
    EXPECT_EQ(end, memory_size);
}

TEST_F(Boot, RefusesWhatHasNoRoom) {
    const LoadedKernel kernel = load(bzimage());
    EXPECT_THROW(write_boot_data(memory_, kernel, {std::string(61 << 20, 'i'), ""}, 0xe0000), ConfigError);
    EXPECT_THROW(write_boot_data(memory_, kernel, {"i", std::string(longest_command_line + 1, 'x')}, 0xe0000),
                 ConfigError);
}

}  // namespace
}  // namespace gpremap
