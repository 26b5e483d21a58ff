#include "vmm/kvm/statistics.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace gpremap {
namespace {

void read_exactly(const Descriptor& fd, void* to, std::size_t size, int64_t offset) {
    if (pread(fd.get(), to, size, offset) != static_cast<ssize_t>(size))
        throw_errno("reading KVM's statistics");
}

}  // namespace

Statistics::Statistics(const Descriptor& owner, const std::vector<std::string>& names)
    : fd_(kvm_ioctl(owner, KVM_GET_STATS_FD, 0ul, "KVM_GET_STATS_FD")), offsets_(names.size(), -1) {
    kvm_stats_header header;
    read_exactly(fd_, &header, sizeof header, 0);
    std::size_t stride = sizeof(StatDescription) + header.name_size;
    std::vector<char> block(stride * header.num_desc);
    read_exactly(fd_, block.data(), block.size(), header.desc_offset);
    for (std::size_t i = 0; i < header.num_desc; i++) {
        StatDescription description;
        const char* entry = block.data() + i * stride;
        std::memcpy(&description, entry, sizeof description);
        const char* text = entry + sizeof description;
        std::string name(text, strnlen(text, header.name_size));
        auto wanted = std::find(names.begin(), names.end(), name);
        if (wanted != names.end())
            offsets_[static_cast<std::size_t>(wanted - names.begin())] =
                int64_t{header.data_offset} + description.offset;
    }
}

uint64_t Statistics::value(std::size_t index) const {
    uint64_t value = 0;
    if (offsets_[index] >= 0) read_exactly(fd_, &value, sizeof value, offsets_[index]);
    return value;
}

}  // namespace gpremap
