// Programs of users are loaded, or refused with what was expected. argv[1] is the path of one that is right.
#include "vmm/guests/agent/program.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "guest/abi/agent.h"
#include "vmm/base/errors.h"

namespace gpremap {
namespace {

std::string right_program;

using testing::HasSubstr;

class Memory : public CallerMemory {
  public:
    bool read(uint64_t, void*, std::size_t) const override { return false; }
    bool write(uint64_t to, const void* from, std::size_t size) override {
        at = to;
        bytes.assign(static_cast<const char*>(from), static_cast<const char*>(from) + size);
        return true;
    }
    uint64_t at = 0;
    std::vector<char> bytes;
};

std::vector<char> read_all(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

class Program : public testing::Test {
  protected:
    Program() : file(read_all(right_program)) { std::memcpy(&header, file.data(), sizeof header); }
    ~Program() override { std::filesystem::remove(path); }

    Elf64_Phdr* segment(uint32_t type) {
        auto* segments = reinterpret_cast<Elf64_Phdr*>(file.data() + header.e_phoff);
        for (unsigned i = 0; i < header.e_phnum; i++)
            if (segments[i].p_type == type) return segments + i;
        return nullptr;
    }

    uint64_t load(unsigned vcpu = 0) {
        std::ofstream(path, std::ios::binary).write(file.data(), static_cast<std::streamsize>(file.size()));
        return load_program(memory, vcpu, path);
    }

    std::string refusal() {
        try {
            load();
        } catch (const ConfigError& error) {
            return error.what();
        }
        return "loaded";
    }

    void put_header() { std::memcpy(file.data(), &header, sizeof header); }

    const std::string path = testing::TempDir() + "program_test.elf";
    std::vector<char> file;
    Elf64_Ehdr header;
    Memory memory;
};

TEST_F(Program, IsPutIntoThePlaceOfItsVcpu) {
    const uint64_t entry = load(3);
    EXPECT_EQ(memory.at, GPREMAP_PROGRAMS + 3 * GPREMAP_PROGRAM_SIZE);
    EXPECT_EQ(entry, memory.at + header.e_entry);
    EXPECT_LE(memory.bytes.size(), GPREMAP_PROGRAM_SIZE - GPREMAP_PROGRAM_STACK);
    EXPECT_EQ(std::memcmp(memory.bytes.data() + header.e_entry, file.data() + header.e_entry, 16), 0);
}

TEST_F(Program, NeedsToBeAnElfFile) {
    file[1] = 'X';
    EXPECT_THAT(refusal(), HasSubstr("expected a 64-bit ELF file for x86-64"));
}

TEST_F(Program, NeedsToBeForX86) {
    header.e_machine = EM_AARCH64;
    put_header();
    EXPECT_THAT(refusal(), HasSubstr("expected a 64-bit ELF file for x86-64"));
}

TEST_F(Program, NeedsToBeLoadableAnywhere) {
    header.e_type = ET_EXEC;
    put_header();
    EXPECT_THAT(refusal(), HasSubstr("link with -static-pie"));
}

TEST_F(Program, NeedsToBeWhole) {
    for (size_t size : {size_t{0}, size_t{20}, sizeof header, file.size() / 4}) {
        file.resize(size);
        EXPECT_THAT(refusal(), HasSubstr("an ELF file that is whole")) << size;
        file = read_all(right_program);
    }
}

TEST_F(Program, MustNotNeedALoader) {
    segment(PT_DYNAMIC)->p_type = PT_INTERP;
    EXPECT_THAT(refusal(), HasSubstr("a static program"));
}

TEST_F(Program, HasNoRoomForMore) {
    segment(PT_LOAD)->p_memsz = GPREMAP_PROGRAM_SIZE;
    EXPECT_THAT(refusal(), HasSubstr("KiB of code and data"));
    file = read_all(right_program);
    segment(PT_LOAD)->p_vaddr = ~0ull - 4096;
    EXPECT_THAT(refusal(), HasSubstr("KiB of code and data"));
}

TEST_F(Program, StaysWithinItsSegments) {
    segment(PT_DYNAMIC)->p_vaddr = ~0ull - 8;
    EXPECT_THAT(refusal(), HasSubstr("addresses within its segments"));
}

TEST_F(Program, IsNamedWhereItIsMissing) {
    EXPECT_THROW(load_program(memory, 0, "/nowhere/program"), ConfigError);
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 2) return 2;
    gpremap::right_program = argv[1];
    return RUN_ALL_TESTS();
}
