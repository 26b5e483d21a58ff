#include "vmm/report/soak.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "vmm/base/units.h"

namespace gpremap {
namespace {

constexpr uint64_t memory_of_its_own = 16ull << 20;  // bytes
constexpr uint64_t mappings_of_its_own = 16;

JsonObject json_of(const Soak::Held& held) {
    return {{"memory", held.process.memory},
            {"descriptors", held.process.descriptors},
            {"mappings", held.process.mappings},
            {"slots", held.slots},
            {"huge_pages", held.process.huge_pages}};
}

}  // namespace

bool Soak::add_round(size_t steps, bool is_ok, const Held& held) {
    if (rounds_++ == 0) first_ = held;
    last_ = held;
    steps_ += steps;
    lasted_ = Clock::now() - began_;
    return is_ok && lasted_ < longest_;
}

std::vector<std::string> Soak::grown() const {
    std::vector<std::string> grown;
    auto compare = [&](const char* what, uint64_t before, uint64_t after, uint64_t allowed) {
        if (after > before + allowed) grown.push_back(fmt::format("{}: {}, then {}", what, before, after));
    };
    const Footprint &before = first_.process, &after = last_.process;
    compare("memory", before.memory, after.memory, memory_of_its_own);
    compare("descriptors", before.descriptors, after.descriptors, 0);
    compare("mappings", before.mappings, after.mappings, mappings_of_its_own);
    compare("slots", first_.slots, last_.slots, 0);
    compare("huge pages", before.huge_pages, after.huge_pages, 0);
    return grown;
}

std::string Soak::text() const {
    const auto more = grown();
    return fmt::format("{} rounds, {} steps in {:.0f} s; {}", rounds_, steps_, lasted_.count(),
                       more.empty() ? "memory, descriptors, mappings, slots and huge pages have not grown"
                                    : fmt::format("grown: {}", fmt::join(more, "; ")));
}

JsonObject Soak::json() const {
    return {{"seconds", lasted_.count()}, {"rounds", rounds_},      {"steps", steps_},
            {"first", json_of(first_)},   {"last", json_of(last_)}, {"grown", grown()}};
}

}  // namespace gpremap
