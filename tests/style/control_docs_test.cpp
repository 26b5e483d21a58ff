// docs/control.md has the tables of the socket's calls and errors as the program has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/style/documents.h"
#include "vmm/control/methods.h"
#include "vmm/control/protocol.h"

namespace gpremap {
namespace {

TEST(ControlDocs, HaveTheTablesOfTheProgram) {
    EXPECT_THAT(text_of("docs/control.md"), testing::HasSubstr(tables_of_methods()));
}

TEST(ControlDocs, NameTheVersion) {
    EXPECT_THAT(text_of("docs/control.md"),
                testing::HasSubstr("\"version\":" + std::to_string(control_version)));
}

}  // namespace
}  // namespace gpremap
