#include "vmm/hostmemory/backing_object.h"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <string>

#include "remap/address.h"
#include "vmm/base/errors.h"
#include "vmm/base/units.h"
#include "vmm/host/huge_tmpfs.h"
#include "vmm/host/resident_pages.h"
#include "vmm/hostmemory/hugetlb.h"

namespace gpremap {
namespace {

// As far as anybody hands out offsets; nothing is allocated before it is touched.
constexpr off_t file_size = off_t{3} << 61;

Descriptor create_memfd(unsigned flags, const char* what, const char* mend) {
    int fd = memfd_create("gpremap", MFD_CLOEXEC | flags);
    if (fd < 0) throw HostLacks(std::string(what) + ": " + strerror(errno) + mend);
    return Descriptor(fd);
}

bool memfds_have_huge_pages() {
    std::string setting = thp_setting("shmem_enabled");
    return setting == "advise" || setting == "within_size" || setting == "always" || setting == "force";
}

std::pair<Descriptor, BackingObject::Pages> create(Backing backing) {
    using Pages = BackingObject::Pages;
    if (uint64_t huge_page = huge_page_of(backing)) {
        const auto log2 = static_cast<unsigned>(std::countr_zero(huge_page));
        const std::string what = "memfd of " + format_size(huge_page) + " huge pages";
        return {create_memfd(MFD_HUGETLB | log2 << MFD_HUGE_SHIFT, what.c_str(),
                             " (the kernel needs CONFIG_HUGETLBFS; use backing = \"memfd\" instead)"),
                Pages::hugetlb};
    }
    if (HugeTmpfsFile file = open_huge_tmpfs_file(); file.fd.valid())
        return {std::move(file.fd), Pages::transparent};
    return {create_memfd(0, "memfd", ""), memfds_have_huge_pages() ? Pages::transparent : Pages::small};
}

}  // namespace

BackingObject::BackingObject(Backing backing) : BackingObject(create(backing), huge_page_of(backing)) {}

BackingObject::BackingObject(std::pair<Descriptor, Pages> file, uint64_t huge_page)
    : fd_(std::move(file.first)), pages_(file.second), huge_page_(huge_page) {
    if (ftruncate(fd_.get(), file_size) != 0) throw_errno("ftruncate of the backing object");
}

uint64_t BackingObject::largest_page() const {
    if (pages_ == Pages::hugetlb) return huge_page_;
    return pages_ == Pages::transparent ? remap::mib2.bytes : remap::kib4.bytes;
}

// A private copy of a transparent one is a small page.
uint64_t BackingObject::largest_private_page() const {
    return pages_ == Pages::hugetlb ? huge_page_ : remap::kib4.bytes;
}

uint64_t BackingObject::allocated() const {
    struct stat status {};
    if (fstat(fd_.get(), &status) != 0) throw_errno("fstat of the backing object");
    return static_cast<uint64_t>(status.st_blocks) * 512;
}

int BackingObject::map(HostCalls& calls, std::byte* at, uint64_t size, uint64_t offset, int prot) const {
    if (pages_ == Pages::hugetlb) return map_hugetlb(calls, at, size, fd(), offset, prot, huge_page_);
    if (int error = calls.map(at, size, prot, MAP_SHARED | MAP_FIXED, fd(), offset)) return error;
    return pages_ == Pages::transparent ? calls.ask_for_huge_pages(at, size) : 0;
}

// Huge pages are reserved here, so that there is one when the guest writes; small ones need not be.
int BackingObject::map_private(HostCalls& calls, std::byte* at, uint64_t size, uint64_t offset,
                               int prot) const {
    int flags = MAP_PRIVATE | MAP_FIXED | (pages_ == Pages::hugetlb ? 0 : MAP_NORESERVE);
    return calls.map(at, size, prot, flags, fd(), offset);
}

int BackingObject::copy_in(HostCalls& calls, std::byte* from, uint64_t offset, uint64_t size,
                           std::optional<uint64_t> shown) const {
    using Through = HostCalls::Through;
    if (pages_ == Pages::hugetlb) return calls.copy_to_hugetlb_file(from, fd(), offset, size);
    auto through = pages_ == Pages::transparent ? Through::huge_mapping : Through::system_call;
    return calls.copy_to_file(from, fd(), offset, size, through, shown);
}

int BackingObject::make_pages(HostCalls& calls, uint64_t offset, uint64_t size) const {
    return calls.make_hugetlb_pages(fd(), offset, size);
}

int BackingObject::punch_hole(HostCalls& calls, uint64_t offset, uint64_t size) const {
    if (pages_ == Pages::hugetlb) return calls.punch_hole_in_hugetlb_file(fd(), offset, size, huge_page_);
    return calls.punch_hole(fd(), offset, size);
}

}  // namespace gpremap
