#include "vmm/guests/linux/kernel_image.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

constexpr uint64_t large_page = 2ull << 20;

// A file from which nothing is read that is not there.
class KernelFile {
  public:
    KernelFile(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

    void require(bool is_so, const std::string& expected) const {
        if (!is_so)
            throw ConfigError(
                fmt::format("{}: not a kernel that can be booted here: expected {}; linux.kernel is a "
                            "bzImage or a vmlinux "
                            "for x86-64",
                            path_, expected));
    }

    std::string_view part(uint64_t offset, uint64_t size) const {
        require(offset <= bytes_.size() && bytes_.size() - offset >= size, "a file that is whole");
        return bytes_.substr(offset, size);
    }

    template <typename T>
    T at(uint64_t offset) const {
        T value;
        std::memcpy(&value, part(offset, sizeof value).data(), sizeof value);
        return value;
    }

    uint64_t size() const { return bytes_.size(); }

  private:
    std::string_view bytes_;
    const std::string& path_;
};

[[noreturn]] void refuse_size(uint64_t size) {
    throw ConfigError(
        fmt::format("linux.memory is too small for this kernel: it needs {} MiB and more", size >> 20));
}

void put(std::span<std::byte> memory, uint64_t at, std::string_view bytes, uint64_t size) {
    if (at > memory.size() || memory.size() - at < size) refuse_size(size);
    std::memcpy(memory.data() + at, bytes.data(), bytes.size());
}

// ---- bzImage ----

constexpr uint64_t magic_offset = 0x202;
constexpr uint32_t magic = 0x53726448;  // "HdrS"

LoadedKernel load_bzimage(std::span<std::byte> memory, uint64_t at, const KernelFile& file) {
    constexpr uint64_t sector = 512, entry_offset = 0x200;
    constexpr uint16_t has_64_bit_entry = 1;
    file.require(file.at<uint16_t>(0x206) >= 0x20c, "boot protocol 2.12 or later (Linux 3.8)");
    file.require(file.at<uint16_t>(0x236) & has_64_bit_entry, "one with a 64-bit entry point");
    file.require(file.at<uint8_t>(0x234) == 1, "one that can be relocated (CONFIG_RELOCATABLE)");
    file.require(large_page % std::max(file.at<uint32_t>(0x230), 1u) == 0,
                 "an alignment of at most 2 MiB (CONFIG_PHYSICAL_ALIGN)");

    const auto stated = file.at<uint8_t>(LoadedKernel::setup_header);
    const uint64_t setup_size = ((stated == 0 ? 4 : stated) + 1) * sector;
    file.require(setup_size < file.size(), "a file that is whole");
    const std::string_view code = file.part(setup_size, file.size() - setup_size);
    const uint64_t needed = std::max<uint64_t>(code.size(), file.at<uint32_t>(0x260));
    put(memory, at, code, needed);

    const uint64_t header_size =
        magic_offset + file.at<uint8_t>(magic_offset - 1) - LoadedKernel::setup_header;
    const std::string_view header = file.part(LoadedKernel::setup_header, header_size);
    LoadedKernel loaded = {at + entry_offset, at + needed, std::vector<std::byte>(header.size())};
    std::memcpy(loaded.setup.data(), header.data(), header.size());
    return loaded;
}

// ---- vmlinux ----

// A kernel finds out how far it is from the addresses that it was linked for, if that is whole large pages.
LoadedKernel load_vmlinux(std::span<std::byte> memory, uint64_t at, const KernelFile& file) {
    const auto header = file.at<Elf64_Ehdr>(0);
    file.require(header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_machine == EM_X86_64 &&
                     header.e_type == ET_EXEC && header.e_phentsize == sizeof(Elf64_Phdr),
                 "an ELF file of a 64-bit kernel");
    std::vector<Elf64_Phdr> segments;
    uint64_t lowest = ~0ull, highest = 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        const auto segment = file.at<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
        if (segment.p_type != PT_LOAD) continue;
        file.require(
            segment.p_filesz <= segment.p_memsz && segment.p_paddr + segment.p_memsz >= segment.p_paddr,
            "segments that are possible");
        segments.push_back(segment);
        lowest = std::min(lowest, segment.p_paddr);
        highest = std::max(highest, segment.p_paddr + segment.p_memsz);
    }
    file.require(!segments.empty() && lowest % large_page == 0, "segments that begin at a multiple of 2 MiB");
    file.require(header.e_entry - lowest < highest - lowest, "a physical entry point within its segments");
    // So that no address behind wraps around.
    if (highest - lowest > memory.size()) refuse_size(highest - lowest);
    for (const Elf64_Phdr& segment : segments)
        put(memory, at + segment.p_paddr - lowest, file.part(segment.p_offset, segment.p_filesz),
            segment.p_memsz);
    return {at + header.e_entry - lowest, at + highest - lowest, {}};
}

}  // namespace

LoadedKernel load_kernel(std::span<std::byte> memory, uint64_t at, std::string_view file,
                         const std::string& path) {
    const KernelFile kernel(file, path);
    if (file.starts_with(ELFMAG)) return load_vmlinux(memory, at, kernel);
    kernel.require(file.size() > 0x268 && kernel.at<uint32_t>(magic_offset) == magic, "a kernel");
    return load_bzimage(memory, at, kernel);
}

}  // namespace gpremap
