// What this program says of an error of the kernel's that means: no more.
#include "vmm/host/process_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>

namespace gpremap {
namespace {

using testing::HasSubstr;

std::string lack_behind(int error) {
    return gpremap::lack_behind(std::error_code(error, std::generic_category())).value_or("nothing");
}

TEST(LackTest, HasAMendWhateverHasRunOut) {
    EXPECT_THAT(lack_behind(EMFILE), HasSubstr(": ulimit -n 1024"));
    EXPECT_THAT(lack_behind(ENFILE), HasSubstr("raise /proc/sys/fs/file-max"));
    EXPECT_NE(lack_behind(ENOMEM), "nothing");
    EXPECT_NE(lack_behind(EAGAIN), "nothing");
}

TEST(LackTest, IsNoneBehindOtherErrors) {
    for (int error : {EINVAL, EFAULT, EPERM, EIO}) EXPECT_EQ(lack_behind(error), "nothing") << error;
}

TEST(LackTest, IsALimitOfThisProcessWhereThereIsOne) {
    rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    if (before.rlim_cur == RLIM_INFINITY) {
        EXPECT_THAT(lack_behind(ENOMEM), HasSubstr("raise its cgroup's memory.max"));
    }
    const rlimit limited{1ull << 46, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limited), 0);
    EXPECT_THAT(lack_behind(ENOMEM), HasSubstr(": ulimit -v unlimited"));
    ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
}

}  // namespace
}  // namespace gpremap
