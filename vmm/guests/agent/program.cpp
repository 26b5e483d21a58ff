#include "vmm/guests/agent/program.h"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "guest/abi/workload.h"
#include "vmm/base/errors.h"
#include "vmm/base/text_file.h"

namespace gpremap {

namespace {

constexpr uint64_t room = GPREMAP_PROGRAM_SIZE - GPREMAP_PROGRAM_STACK;  // bytes, for all but the stack

// The image as it will be in memory, from address 0 of the file on.
class Image {
  public:
    Image(std::string_view file, const std::string& path) : file_(file), path_(path), bytes_(room) {
        header_ = at<Elf64_Ehdr>(0);
        require(std::memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0 &&
                    header_.e_ident[EI_CLASS] == ELFCLASS64 && header_.e_machine == program_format.machine,
                fmt::format("a 64-bit ELF file for {}", program_format.name));
        require(header_.e_type == ET_DYN && header_.e_entry < room,
                "one that can be loaded anywhere: link with -static-pie");
        require(header_.e_phentsize == sizeof(Elf64_Phdr) && header_.e_phnum < 64, "program headers");
        for (unsigned i = 0; i < header_.e_phnum; i++)
            load(at<Elf64_Phdr>(header_.e_phoff + i * sizeof(Elf64_Phdr)));
    }

    uint64_t entry() const { return header_.e_entry; }

    // For a load at `base`.
    const std::vector<char>& relocated(uint64_t base) {
        if (dynamic_.p_memsz > 0) relocate(base);
        return bytes_;
    }

  private:
    void require(bool is_so, const std::string& expected) const {
        if (!is_so)
            throw ConfigError(fmt::format("{}: this program cannot be loaded: expected {}", path_, expected));
    }

    template <typename T>
    T at(uint64_t offset) const {
        require(offset <= file_.size() && file_.size() - offset >= sizeof(T), "an ELF file that is whole");
        T value;
        std::memcpy(&value, file_.data() + offset, sizeof value);
        return value;
    }

    template <typename T>
    T loaded(uint64_t address) const {
        require(address <= room - sizeof(T), "addresses within its segments");
        T value;
        std::memcpy(&value, bytes_.data() + address, sizeof value);
        return value;
    }

    void load(const Elf64_Phdr& segment) {
        require(segment.p_type != PT_INTERP, "a static program: link with -static-pie -nostdlib");
        require(segment.p_type != PT_TLS || segment.p_memsz == 0, "no thread-local variables");
        if (segment.p_type == PT_DYNAMIC) dynamic_ = segment;
        if (segment.p_type != PT_LOAD) return;
        require(segment.p_vaddr <= room && segment.p_memsz <= room - segment.p_vaddr,
                fmt::format("at most {} KiB of code and data", room >> 10));
        require(segment.p_filesz <= segment.p_memsz && segment.p_offset <= file_.size() &&
                    segment.p_filesz <= file_.size() - segment.p_offset,
                "an ELF file that is whole");
        std::memcpy(bytes_.data() + segment.p_vaddr, file_.data() + segment.p_offset, segment.p_filesz);
    }

    uint64_t dynamic_value(int64_t tag) const {
        for (uint64_t done = 0; done + sizeof(Elf64_Dyn) <= dynamic_.p_memsz; done += sizeof(Elf64_Dyn)) {
            const auto entry = loaded<Elf64_Dyn>(dynamic_.p_vaddr + done);
            if (entry.d_tag == DT_NULL) break;
            if (entry.d_tag == tag) return entry.d_un.d_val;
        }
        return 0;
    }

    void relocate(uint64_t base) {
        const uint64_t table = dynamic_value(DT_RELA), size = dynamic_value(DT_RELASZ);
        require(size <= room, "relocations within its segments");
        for (uint64_t done = 0; done + sizeof(Elf64_Rela) <= size; done += sizeof(Elf64_Rela)) {
            const auto entry = loaded<Elf64_Rela>(table + done);
            require(ELF64_R_TYPE(entry.r_info) == program_format.relocation &&
                        entry.r_offset <= room - sizeof(uint64_t),
                    "no symbol that is left open: link it whole, with -nostdlib");
            const uint64_t value = base + static_cast<uint64_t>(entry.r_addend);
            std::memcpy(bytes_.data() + entry.r_offset, &value, sizeof value);
        }
    }

    std::string_view file_;
    const std::string& path_;
    std::vector<char> bytes_;
    Elf64_Ehdr header_;
    Elf64_Phdr dynamic_ = {};
};

}  // namespace

uint64_t load_program(CallerMemory& memory, unsigned vcpu, const std::string& path) {
    const uint64_t base = GPREMAP_PROGRAMS + vcpu * GPREMAP_PROGRAM_SIZE;
    const std::string file = read_text(path);
    Image image(file, path);
    const std::vector<char>& bytes = image.relocated(base);
    if (!memory.write(base, bytes.data(), bytes.size()))
        throw std::logic_error("the place of programs is outside the guest's memory");
    return base + image.entry();
}

}  // namespace gpremap
