#include "vmm/host/huge_tmpfs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "vmm/host/resident_pages.h"

namespace gpremap {
namespace {

constexpr off_t page = 4096, large_page = 2l << 20;  // bytes

// Returns a descriptor, or -errno. Allocates nothing, takes no lock: it may run in a child of a process with
// many threads.
int open_file_in_new_tmpfs() {
    auto opened = [](int fd) { return fd >= 0 ? fd : -errno; };
    int filesystem = opened(fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (filesystem < 0) return filesystem;
    bool made = fsconfig(filesystem, FSCONFIG_SET_STRING, "huge", "advise", 0) == 0 &&
                fsconfig(filesystem, FSCONFIG_SET_STRING, "size", "0", 0) == 0 &&
                fsconfig(filesystem, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
    int mount = made ? opened(fsmount(filesystem, FSMOUNT_CLOEXEC, 0)) : -errno;
    close(filesystem);
    if (mount < 0) return mount;
    int file = opened(openat(mount, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    close(mount);
    return file;
}

bool write_to(const char* path, const char* text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool written = write(fd, text, strlen(text)) == static_cast<ssize_t>(strlen(text));
    close(fd);
    return written;
}

// In a child that shares the table of descriptors, with user and mount namespaces of its own: leaves the file
// at `place`. Does not return; exits with 0, or the errno.
[[noreturn]] void open_as_child(int place, const char* uid_map, const char* gid_map) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) _exit(errno);
    if (!write_to("/proc/self/uid_map", uid_map) || !write_to("/proc/self/setgroups", "deny") ||
        !write_to("/proc/self/gid_map", gid_map))
        _exit(errno);
    int file = open_file_in_new_tmpfs();
    if (file < 0) _exit(-file);
    int error = dup3(file, place, O_CLOEXEC) < 0 ? errno : 0;
    close(file);
    _exit(error);
}

// Returns a descriptor, or -errno.
int open_file_in_user_namespace() {
    char uid_map[64], gid_map[64];
    std::snprintf(uid_map, sizeof uid_map, "0 %u 1", geteuid());
    std::snprintf(gid_map, sizeof gid_map, "0 %u 1", getegid());
    int place = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (place < 0) return -errno;
    auto child = static_cast<pid_t>(syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0));
    if (child == 0) open_as_child(place, uid_map, gid_map);
    int status = 0;
    int error = child < 0 || TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) < 0 ? errno : 0;
    if (error == 0) error = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    if (error == 0) return place;
    close(place);
    return -error;
}

// Whether a mapping of one page gets the file a whole huge page, of which the guest would not be charged the
// rest.
bool takes_more_than_is_mapped(int fd) {
    struct stat status = {};
    if (ftruncate(fd, large_page) != 0) return true;
    void* at = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return true;
    bool touched = madvise(at, page, MADV_HUGEPAGE) == 0 && madvise(at, page, MADV_POPULATE_WRITE) == 0;
    bool more = !touched || fstat(fd, &status) != 0 || status.st_blocks * 512 > page;
    munmap(at, page);
    return ftruncate(fd, 0) != 0 || more;
}

}  // namespace

HugeTmpfsFile open_huge_tmpfs_file() {
    if (std::string setting = thp_setting("shmem_enabled"); setting == "deny" || setting == "none")
        return {{},
                "shmem_enabled: " + setting,
                "echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled, which allows it"};
    int fd = open_file_in_new_tmpfs();
    if (fd == -EPERM) fd = open_file_in_user_namespace();
    if (fd < 0)
        return {{},
                std::string("no tmpfs of its own: ") + strerror(-fd),
                "run as root, or allow user namespaces (sysctl user.max_user_namespaces, "
                "kernel.apparmor_restrict_unprivileged_userns)"};
    HugeTmpfsFile file{Descriptor(fd), "", ""};
    if (takes_more_than_is_mapped(fd))
        return {{}, "this kernel gives huge pages where only a part is mapped", "use Linux 6.12 or later"};
    return file;
}

}  // namespace gpremap
