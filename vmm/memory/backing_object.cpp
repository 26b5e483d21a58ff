#include "vmm/memory/backing_object.h"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vmm/base/errors.h"
#include "vmm/host/huge_tmpfs.h"
#include "vmm/host/resident_pages.h"

namespace gpremap {
namespace {

// As far as remap::Store hands out offsets; nothing is allocated before it is touched.
constexpr off_t file_size = off_t{1} << 62;

Descriptor create_memfd(unsigned flags, const char* what, const char* mend) {
    int fd = memfd_create("gpremap", MFD_CLOEXEC | flags);
    if (fd < 0) throw HostLacks(std::string(what) + ": " + strerror(errno) + mend);
    return Descriptor(fd);
}

bool memfds_have_huge_pages() {
    std::string setting = thp_setting("shmem_enabled");
    return setting == "advise" || setting == "within_size" || setting == "always" || setting == "force";
}

std::pair<Descriptor, BackingObject::Pages> create(BackingObject::Kind kind) {
    using Pages = BackingObject::Pages;
    if (kind == BackingObject::Kind::hugetlb)
        return {create_memfd(MFD_HUGETLB | MFD_HUGE_2MB, "memfd of 2 MiB huge pages",
                             " (the kernel needs CONFIG_HUGETLBFS; use backing = \"memfd\" instead)"),
                Pages::huge_2m};
    if (HugeTmpfsFile file = open_huge_tmpfs_file(); file.fd.valid())
        return {std::move(file.fd), Pages::transparent};
    return {create_memfd(0, "memfd", ""), memfds_have_huge_pages() ? Pages::transparent : Pages::small};
}

}  // namespace

BackingObject::BackingObject(Kind kind) : BackingObject(create(kind)) {}

BackingObject::BackingObject(std::pair<Descriptor, Pages> file)
    : fd_(std::move(file.first)), pages_(file.second) {
    if (ftruncate(fd_.get(), file_size) != 0) throw_errno("ftruncate of the backing object");
}

uint64_t BackingObject::allocated() const {
    struct stat status {};
    if (fstat(fd_.get(), &status) != 0) throw_errno("fstat of the backing object");
    return static_cast<uint64_t>(status.st_blocks) * 512;
}

}  // namespace gpremap
