// Random Linux calls on the model and on this machine's own kernel, compared after each.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>

#include "tests/model/host/sequence.h"

namespace {

using host_oracle::Lockstep;

void print(const host_oracle::Tally& tally) {
    auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("%llu calls in %llu sequences\n", number(tally.calls), number(tally.sequences));
    std::printf("listed divergences, made on neither side:\n");
    for (const auto& [name, count] : tally.left_out)
        std::printf("  %-36s %llu\n", name.c_str(), number(count));
    std::printf("stopped half-way on Linux with the same errno: %llu\n", number(tally.half_done));
    std::printf("ended for want of room: %llu\n", number(tally.full));
}

uint64_t seed_of_the_moment() {
    return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) / 1000;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Random Linux calls on the model and on this machine's own kernel, compared after each.\n"
        "Exit status: 0 nothing unlisted differs, 1 something does (printed, shortened).");
    uint64_t seed = seed_of_the_moment(), calls = 20000;
    app.add_option("--seed", seed, "of the first sequence; default: the time");
    app.add_option("--calls", calls, "how many to make; default 20000");
    CLI11_PARSE(app, argc, argv);

    auto several = Lockstep::Several::moved;
    if (!host_oracle::moves_several_mappings()) {
        several = Lockstep::Several::left_out;
        std::printf("this kernel is older than 6.17: moves of several mappings are left out\n");
    }
    std::printf("host_oracle --seed %llu --calls %llu\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(calls));
    host_oracle::Tally tally;
    auto found = host_oracle::run(seed, calls, several, tally);
    print(tally);
    if (!found) {
        std::printf("unlisted differences: 0\n");
        return 0;
    }
    std::printf("unlisted differences: 1, shortened:\n%s", as_case(shrunk(*found)).c_str());
    return 1;
}
