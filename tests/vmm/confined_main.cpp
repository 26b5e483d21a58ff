// The main of tests whose threads are confined as they are in the program, so that the lists of vmm/sandbox are held against
// what each test makes them do. The thread that runs the tests is not.
#include <gtest/gtest.h>

#include "vmm/sandbox/sandbox.h"

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    gpremap::confine_threads();
    return RUN_ALL_TESTS();
}
