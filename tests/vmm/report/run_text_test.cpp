// The text of a large result where memory is short: an exception, which the journal outlives, and no abort.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <new>

#include "tests/schema/full_result.h"
#include "tests/vmm/report/run_json.h"

namespace {

size_t most_at_once = std::numeric_limits<size_t>::max();  // bytes that there still are in one piece

}  // namespace

// Not inlined, or the compiler sees malloc and free where it expects each of its kind.
[[gnu::noinline]] void* operator new(std::size_t size) {
    void* got = size <= most_at_once ? std::malloc(size) : nullptr;
    if (!got) throw std::bad_alloc();
    return got;
}

[[gnu::noinline]] void operator delete(void* what) noexcept {
    std::free(what);
}
[[gnu::noinline]] void operator delete(void* what, std::size_t) noexcept {
    std::free(what);
}

namespace gpremap {
namespace {

TEST(RunText, IsThatOfItsJson) {
    const RunResult run = full_result();
    const std::string text = text_of(run, Ended::interrupted);
    JsonObject json = json_of(run);
    json["interrupted"] = true;
    EXPECT_EQ(text, json.dump(2) + '\n');
}

// A tree of all steps would have to be destroyed, for which it allocates, and must not.
TEST(RunText, ThatOutgrowsMemoryIsAnException) {
    RunResult run = full_result();
    run.steps.resize(5000, run.steps[0]);
    most_at_once = 64 << 10;
    EXPECT_THROW(text_of(run, Ended::by_itself), std::bad_alloc);
    most_at_once = std::numeric_limits<size_t>::max();
}

}  // namespace
}  // namespace gpremap
