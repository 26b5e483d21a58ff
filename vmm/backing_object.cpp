#include "vmm/backing_object.h"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "vmm/errors.h"

namespace gpremap {
namespace {

// As far as remap::Store hands out offsets; nothing is allocated before it is touched.
constexpr off_t file_size = off_t{1} << 62;

int create(BackingObject::Pages pages) {
    bool huge = pages == BackingObject::Pages::huge_2m;
    int fd = memfd_create("gpremap", MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0u));
    if (fd < 0)
        throw HostLacks(
            std::string(huge ? "memfd of 2 MiB huge pages" : "memfd") + ": " + strerror(errno) +
            (huge ? " (the kernel needs CONFIG_HUGETLBFS; use backing = \"memfd\" instead)" : ""));
    return fd;
}

}  // namespace

BackingObject::BackingObject(Pages pages) : pages_(pages), fd_(create(pages)) {
    if (ftruncate(fd_.get(), file_size) != 0) throw_errno("ftruncate of the backing memfd");
}

uint64_t BackingObject::allocated() const {
    struct stat status {};
    if (fstat(fd_.get(), &status) != 0) throw_errno("fstat of the backing memfd");
    return static_cast<uint64_t>(status.st_blocks) * 512;
}

}  // namespace gpremap
