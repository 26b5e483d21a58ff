#include "vmm/cases/place.h"

#include <fmt/format.h>

#include <cctype>

#include "vmm/base/errno_names.h"

namespace gpremap {

namespace {

// Free placement takes the lowest place, so it never comes to the middle of the aperture as long as a
// case maps less than half of it. The 1 GiB lets cases ask for results that are aligned.
constexpr uint64_t window_offset_of(uint64_t aperture_size) {
    return aperture_size / 2 >> 30 << 30;
}

constexpr uint64_t unlimited = ~0ull;

uint64_t granules_or(const std::optional<uint64_t>& limit, uint64_t granule, uint64_t otherwise) {
    if (!limit) return otherwise;
    return *limit > unlimited / granule ? unlimited : *limit * granule;
}

}  // namespace

uint64_t prot_of_picture(char granule) {
    if (granule == '_') return 0;
    if (granule >= 'A' && granule <= 'Z') return GPREMAP_PROT_READ;
    return GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
}

std::vector<PictureRun> runs_of(const Case& c) {
    std::vector<PictureRun> runs;
    for (uint64_t i = 0; i < c.before.size(); ++i) {
        if (c.before[i] == '.') continue;
        const uint64_t prot = prot_of_picture(c.before[i]);
        const bool continues = !runs.empty() && runs.back().end == i && !c.bar[i] &&
                               runs.back().prot == prot && runs.back().attribute == c.attrs[i];
        if (continues)
            runs.back().end = i + 1;
        else
            runs.push_back({i, i + 1, prot, c.attrs[i]});
    }
    return runs;
}

char letter_of_byte(uint8_t byte) {
    if (byte == 0) return '0';
    return byte >= 'a' && byte <= 'z' ? static_cast<char>(byte) : '?';
}

uint8_t byte_of_picture(char granule) {
    if (granule == '0' || granule == '_') return 0;
    return static_cast<uint8_t>(std::tolower(static_cast<unsigned char>(granule)));
}

MemoryConfig case_memory(uint64_t granule) {
    MemoryConfig memory;
    memory.granule = granule;
    return memory;
}

uint64_t PlaceByCalls::window() const {
    const MemoryConfig memory = case_memory(granule_);
    return memory.aperture_base + window_offset_of(memory.aperture_size);
}

uint64_t PlaceByCalls::aperture_end() const {
    const MemoryConfig memory = case_memory(granule_);
    return memory.aperture_base + memory.aperture_size;
}

void PlaceByCalls::build(const Case& c) {
    const auto runs = runs_of(c);
    for (const PictureRun& run : runs) map_run(c, run);
    for (const PictureRun& run : runs) finish_run(run);
    const MemoryConfig memory = case_memory(granule_);
    set_limits(granules_or(c.limit, granule_, memory.limit), granules_or(c.lock_limit, granule_, unlimited),
               c.max_extents.value_or(memory.max_extents));
}

void PlaceByCalls::map_run(const Case& c, const PictureRun& run) {
    const uint64_t at = window() + run.begin * granule_;
    const uint64_t flags = run.attribute == Attribute::shared ? GPREMAP_FLAG_SHARED : 0;
    must(abi::Call::map,
         {at, (run.end - run.begin) * granule_, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, flags});
    for (uint64_t i = run.begin; i < run.end; ++i)
        if (byte_of_picture(c.before[i]) != 0) fill(window() + i * granule_, byte_of_picture(c.before[i]));
}

// What would keep the granules from being filled.
void PlaceByCalls::finish_run(const PictureRun& run) {
    const uint64_t at = window() + run.begin * granule_;
    const uint64_t len = (run.end - run.begin) * granule_;
    if (run.prot != (GPREMAP_PROT_READ | GPREMAP_PROT_WRITE)) must(abi::Call::protect, {at, len, run.prot});
    switch (run.attribute) {
        case Attribute::locked:
            return must(abi::Call::lock, {at, len});
        case Attribute::pinned:
            return must(abi::Call::pin, {at, len});
        case Attribute::sealed:
            return must(abi::Call::seal, {at, len});
        default:
            return;
    }
}

void PlaceByCalls::must(abi::Call number, std::array<uint64_t, 6> args) {
    const int64_t result = call({number, args, {}});
    if (is_error(result))
        throw CaseFailed(
            fmt::format("call {:#x} at {:#x}, with which the picture is built or looked at, returned {}",
                        static_cast<uint64_t>(number), args[0], errno_name(-result)));
}

}  // namespace gpremap
