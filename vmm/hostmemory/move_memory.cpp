#include "vmm/hostmemory/move_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "remap/address.h"

namespace gpremap {
namespace {

using Mappings = std::vector<std::pair<uint64_t, uint64_t>>;  // where they begin and end

// The mappings of this process inside [start, start + size); none where the kernel does not say.
Mappings host_mappings(HostCalls& calls, const std::byte* start, uint64_t size) {
    constexpr uint64_t lines_in_a_call = 8;  // as long as one takes

    uint64_t low = reinterpret_cast<uint64_t>(start), high = low + size;
    Mappings found;
    uint64_t lines = 0;
    calls.for_each_line_of_maps([&](const char* line) {
        lines++;
        uint64_t begin = 0, end = 0;
        if (sscanf(line, "%lx-%lx ", &begin, &end) != 2) return true;
        if (end > low && begin < high) found.emplace_back(std::max(begin, low), std::min(end, high));
        return begin < high;
    });
    calls.add_work(lines / lines_in_a_call);
    return found;
}

int move_one(HostCalls& calls, std::byte* from, std::byte* to, uint64_t size, Leaves leaves) {
    return leaves == Leaves::hole ? calls.move(from, to, size) : calls.move_and_leave(from, to, size);
}

int move_by_mapping(HostCalls& calls, std::byte* from, std::byte* to, uint64_t size, Leaves leaves) {
    const Mappings pieces = host_mappings(calls, from, size);
    uint64_t covered = 0;
    for (auto [begin, end] : pieces) covered += end - begin;
    if (covered != size) return ENOMEM;  // no descriptor, or no /proc
    auto distance = [&](uint64_t address) { return address - reinterpret_cast<uint64_t>(from); };
    for (size_t done = 0; done < pieces.size(); ++done) {
        auto [begin, end] = pieces[done];
        int error = move_one(calls, from + distance(begin), to + distance(begin), end - begin, leaves);
        if (error == 0) continue;
        calls.cancel_failure();
        calls.make_room();
        while (done-- > 0) {
            auto [back, back_end] = pieces[done];
            if (int lost = calls.move(to + distance(back), from + distance(back), back_end - back))
                throw std::system_error(lost, std::generic_category(), "moving back part of a range");
        }
        return error;
    }
    return 0;
}

// How many page tables of 2 MiB a range lies in.
uint64_t tables_of(uint64_t at, uint64_t size) {
    return size == 0 ? 0 : (at + size - 1) / remap::mib2.bytes - at / remap::mib2.bytes + 1;
}

}  // namespace

uint64_t flushes_of_mremap(uint64_t from, uint64_t to, uint64_t size) {
    constexpr uint64_t gib = remap::gib1.bytes;
    if (size == 0) return 0;
    if ((from - to) % remap::mib2.bytes != 0) return tables_of(from, size) + tables_of(to, size) - 1;
    const uint64_t head = std::min(size, -from % gib);
    const uint64_t whole = (from - to) % gib == 0 ? (size - head) / gib : 0;
    if (whole == 0) return tables_of(from, size);
    return tables_of(from, head) + whole + tables_of(0, size - head - whole * gib);
}

int move_memory(HostCalls& calls, std::byte* from, std::byte* to, uint64_t size, Leaves leaves) {
    int error = move_one(calls, from, to, size, leaves);
    return error == EFAULT ? move_by_mapping(calls, from, to, size, leaves) : error;
}

}  // namespace gpremap
