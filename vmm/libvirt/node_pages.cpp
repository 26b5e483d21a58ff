#include "vmm/libvirt/node_pages.h"

#include "vmm/libvirt/connection.h"

namespace gpremap {

std::optional<std::string> set_huge_pages_through_libvirt(uint64_t size, uint64_t pages) {
    constexpr const char* uri = "qemu:///system";
    constexpr int whole_host = -1;
    try {
        Connection connection = open_connection(uri);
        auto kib = static_cast<unsigned>(size >> 10);
        unsigned long long count = pages;
        int nodes =
            virNodeAllocPages(connection.get(), 1, &kib, &count, whole_host, 1, VIR_NODE_ALLOC_PAGES_SET);
        // The daemon also calls it a failure when the kernel found fewer.
        bool fewer = nodes < 0 && LibvirtError("").number() == VIR_ERR_OPERATION_FAILED;
        if (nodes >= 0 || fewer) return uri;
    } catch (const LibvirtError&) {
        // No daemon: the kernel is asked directly.
    }
    return std::nullopt;
}

}  // namespace gpremap
