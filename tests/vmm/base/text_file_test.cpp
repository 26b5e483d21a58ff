#include "vmm/base/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "vmm/base/errors.h"

namespace gpremap {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class TextFile : public testing::Test {
  protected:
    void SetUp() override { ASSERT_TRUE(mkdtemp(folder_.data())); }
    void TearDown() override { fs::remove_all(folder_); }

    std::string path(const std::string& name) const { return (fs::path(folder_) / name).string(); }

    std::string file_with(const std::string& text) const {
        std::ofstream(path("file"), std::ios::binary) << text;
        return path("file");
    }

    // The message, which begins with the path; empty where it can be read.
    static std::string error_of(const std::string& path) {
        try {
            read_text(path);
        } catch (const ConfigError& error) {
            EXPECT_THAT(error.what(), StartsWith(path + ": "));
            return error.what();
        }
        return "";
    }

  private:
    std::string folder_ = (fs::temp_directory_path() / "gpremap-text-XXXXXX").string();
};

TEST_F(TextFile, IsReadWhole) {
    const std::string text("a\n\0b", 4);
    EXPECT_EQ(read_text(file_with(text)), text);
    EXPECT_EQ(read_text(file_with("")), "");
}

TEST_F(TextFile, LosesTheMarkAtItsBeginningAlone) {
    EXPECT_EQ(read_text(file_with("\xef\xbb\xbfkey")), "key");
    EXPECT_EQ(read_text(file_with("key\xef\xbb\xbf")), "key\xef\xbb\xbf");
}

TEST_F(TextFile, OfTheLargestSizeIsRead) {
    const std::string file = file_with(std::string(largest_text, ' '));
    EXPECT_EQ(read_text(file).size(), largest_text);
    std::ofstream(file, std::ios::app) << ' ';
    EXPECT_THAT(error_of(file), HasSubstr("has more than 16 MiB"));
}

TEST_F(TextFile, OfProcIsReadThoughItsSizeIsZero) {
    EXPECT_THAT(read_text("/proc/self/status"), HasSubstr("\nPid:"));
}

TEST_F(TextFile, ThatIsNotThereSaysSo) {
    EXPECT_THAT(error_of(path("none")), HasSubstr(strerror(ENOENT)));
}

TEST_F(TextFile, IsNoFolder) {
    EXPECT_THAT(error_of(path("")), HasSubstr(strerror(EISDIR)));
}

TEST_F(TextFile, IsNoDeviceThatNeverEnds) {
    EXPECT_THAT(error_of("/dev/zero"), HasSubstr("not a regular file"));
}

// Nobody writes to it: whoever waited would wait for ever.
TEST_F(TextFile, IsNoFifo) {
    ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
    EXPECT_THAT(error_of(path("fifo")), HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace gpremap
