#include "vmm/guests/agent/world.h"

#include <elf.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "vmm/base/errors.h"

extern "C" const std::byte gpremap_agent_image[];
extern "C" const std::byte gpremap_agent_image_end[];

namespace gpremap {
namespace {

using layout::page;
using namespace stage1;

constexpr uint64_t large_page = 2ull << 20;
constexpr uint64_t gigabyte_page = 1ull << 30;

// ---- page tables ----

constexpr uint64_t address_bits = 0x0000fffffffff000;  // of an entry, as far as tables lie

// 1:1 tables in the agent's memory, made from the front of [page_tables, page_tables_end).
class TableBuilder {
  public:
    explicit TableBuilder(std::span<std::byte> memory) : memory_(memory), root_(new_table()) {}

    uint64_t root() const { return root_; }

    // Maps [from, end) with leaves of `leaf_size`, a power of 512 pages; both ends are multiples of it.
    void map(uint64_t from, uint64_t end, uint64_t leaf_size, unsigned rights) {
        for (uint64_t at = from; at != end; at += leaf_size) map_leaf(at, leaf_size, rights);
    }

  private:
    uint64_t new_table() {
        if (next_ == layout::page_tables_end)
            throw HostLacks(
                "the aperture needs more page tables than the agent has room for: make it smaller, "
                "or use a host whose processor has 1 GiB pages (pdpe1gb)");
        next_ += page;
        return next_ - page;
    }

    uint64_t* table(uint64_t at) {
        return reinterpret_cast<uint64_t*>(memory_.data() + (at - abi::agent_base));
    }

    void map_leaf(uint64_t at, uint64_t leaf_size, unsigned rights) {
        uint64_t parent = root_;
        unsigned shift = 39;  // of the PML4's index
        for (; (1ull << shift) != leaf_size; shift -= 9) {
            uint64_t& entry = table(parent)[at >> shift & 511];
            if (!entry) entry = table_entry(new_table());
            parent = entry & address_bits;
        }
        table(parent)[at >> shift & 511] = leaf_entry(at, leaf_size, rights);
    }

    std::span<std::byte> memory_;
    uint64_t next_ = layout::page_tables;
    uint64_t root_;
};

void check_aperture(const Aperture& aperture, const KvmCapabilities& capabilities) {
    if (aperture.base % large_page || aperture.size % large_page || aperture.size == 0)
        throw ConfigError("vm.aperture: base and size must be multiples of 2 MiB, and size not 0");
    if (aperture.base < abi::lowest_aperture || aperture.base > abi::highest_aperture_end ||
        abi::highest_aperture_end - aperture.base < aperture.size)
        throw ConfigError("vm.aperture: must lie between 1 GiB and 64 TiB");
    uint64_t reach = 1ull << capabilities.guest_address_bits;
    if (aperture.base + aperture.size > reach)
        throw HostLacks("vm.aperture: ends beyond the " + std::to_string(capabilities.guest_address_bits) +
                        " bits of guest-physical address that this host has: move or shrink it to end by " +
                        std::to_string(reach >> 30) + " GiB");
}

// 1 GiB leaves where the host's processor has them, 2 MiB leaves elsewhere and at ragged ends.
void map_aperture(TableBuilder& tables, const Aperture& aperture, const KvmCapabilities& capabilities) {
    constexpr unsigned rights = writable | user;
    uint64_t at = aperture.base, end = aperture.base + aperture.size;
    while (at != end) {
        bool gigabyte = capabilities.gigabyte_pages && at % gigabyte_page == 0 && end - at >= gigabyte_page;
        uint64_t leaf = gigabyte ? gigabyte_page : large_page;
        tables.map(at, at + leaf, leaf, rights);
        at += leaf;
    }
}

void map_pages(TableBuilder& tables, uint64_t from, uint64_t size, unsigned rights) {
    tables.map(from, from + size, page, rights);
}

void map_vcpu_block(TableBuilder& tables, unsigned vcpu) {
    using namespace layout;
    uint64_t block = layout::block(vcpu);
    map_pages(tables, block + mailbox_in_block, page, user | writable);
    map_pages(tables, block + stack_in_block, stack_size, user | writable);
}

void put(std::span<std::byte> memory, uint64_t at, const void* data, std::size_t size) {
    std::memcpy(memory.data() + (at - abi::agent_base), data, size);
}

// ---- the image ----

// The image is part of this program: a malformed one is a broken build.
uint64_t load_image(std::span<std::byte> memory, TableBuilder& tables) {
    const std::byte* image = gpremap_agent_image;
    auto size = static_cast<std::size_t>(gpremap_agent_image_end - gpremap_agent_image);
    Elf64_Ehdr header;
    if (size < sizeof header) throw std::logic_error("the agent's image is not an ELF file");
    std::memcpy(&header, image, sizeof header);
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        std::memcpy(&segment, image + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_LOAD || segment.p_memsz == 0) continue;
        if (segment.p_vaddr < abi::image_base || segment.p_vaddr + segment.p_memsz > abi::image_limit ||
            segment.p_vaddr % page)
            throw std::logic_error("the agent's image is linked outside its place");
        put(memory, segment.p_vaddr, image + segment.p_offset, segment.p_filesz);
        const unsigned rights =
            user | (segment.p_flags & PF_W ? writable : 0u) | (segment.p_flags & PF_X ? executable : 0u);
        map_pages(tables, segment.p_vaddr, (segment.p_memsz + page - 1) / page * page, rights);
    }
    return header.e_entry;
}

}  // namespace

uint64_t build_agent_world(std::span<std::byte> memory, const Aperture& aperture,
                           const KvmCapabilities& capabilities) {
    check_aperture(aperture, capabilities);
    TableBuilder tables(memory);
    if (tables.root() != layout::page_tables) throw std::logic_error("the root is the first of the tables");
    uint64_t entry = load_image(memory, tables);

    for (const ExceptionPages& pages : pages_of_exceptions())
        map_pages(tables, pages.at, pages.size, pages.rights);
    map_pages(tables, layout::tables_block, page, user);
    map_pages(tables, layout::spare_tables, 2 * page, user | writable);
    for (unsigned vcpu = 0; vcpu < abi::max_vcpus; vcpu++) map_vcpu_block(tables, vcpu);
    map_pages(tables, layout::shared, layout::shared_size, user | writable);
    map_pages(tables, abi::rings, abi::max_vcpus * abi::ring_stride, user | writable);
    tables.map(layout::page_tables, layout::page_tables_end, large_page, user | writable);
    tables.map(GPREMAP_CALLS_ADDRESS, layout::workloads_end, large_page, user | writable);
    tables.map(GPREMAP_PROGRAMS, layout::programs_end, large_page, user | writable | executable);
    map_aperture(tables, aperture, capabilities);

    write_exceptions(memory);
    abi::Tables block = {tables.root(), {layout::spare_tables, layout::spare_tables + page}};
    put(memory, layout::tables_block, &block, sizeof block);
    return entry;
}

}  // namespace gpremap
