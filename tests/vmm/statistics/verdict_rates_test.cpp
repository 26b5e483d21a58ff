// How often the verdicts of `diff` are right: false alarms between two results of the same thing, and slowdowns of
// 10 % that are found. The figures of docs/sweeps.md: verdict_rates_test --trials 1000
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "vmm/statistics/verdict.h"

namespace gpremap {
namespace {

size_t trials = 20;
constexpr size_t metrics = 5;  // in a result; one of them is slowed down

// The percentiles of 2000 mremaps of 64 MiB, over their median: Linux 6.18, a machine busy with other work,
// 2026-11-26. A seventh of spread, and one in eight takes several times as long.
constexpr std::array<double, 101> busy_host = {
    0.222, 0.563, 0.651, 0.680, 0.699, 0.723, 0.739, 0.751, 0.767, 0.776,  0.784, 0.795, 0.801, 0.812, 0.820,
    0.826, 0.832, 0.838, 0.844, 0.848, 0.854, 0.858, 0.869, 0.876, 0.882,  0.885, 0.890, 0.896, 0.900, 0.906,
    0.910, 0.916, 0.920, 0.924, 0.931, 0.936, 0.940, 0.944, 0.949, 0.953,  0.957, 0.961, 0.965, 0.969, 0.972,
    0.977, 0.982, 0.988, 0.992, 0.996, 1.000, 1.005, 1.009, 1.012, 1.017,  1.021, 1.027, 1.030, 1.034, 1.038,
    1.040, 1.045, 1.049, 1.054, 1.059, 1.065, 1.069, 1.073, 1.078, 1.083,  1.088, 1.093, 1.098, 1.106, 1.111,
    1.118, 1.125, 1.134, 1.145, 1.155, 1.165, 1.179, 1.192, 1.208, 1.236,  1.278, 1.323, 1.393, 2.146, 4.042,
    5.308, 5.620, 5.679, 5.768, 5.833, 5.884, 5.939, 6.307, 9.918, 10.616, 19.995};

// Draws samples around 1.
using Noise = double (*)(std::mt19937_64&);

double of_busy_host(std::mt19937_64& random) {
    const double at = std::uniform_real_distribution(0.0, 100.0)(random);
    const size_t below = static_cast<size_t>(at);
    return std::lerp(busy_host.at(below), busy_host.at(below + 1), at - static_cast<double>(below));
}

// 5 % of spread, and one in twenty from that tail.
double of_quiet_host(std::mt19937_64& random) {
    constexpr double in_tail = 0.05;
    if (std::bernoulli_distribution(in_tail)(random))
        return busy_host.at(std::uniform_int_distribution<size_t>(88, 100)(random));
    return std::lognormal_distribution(0.0, 0.05)(random);
}

std::vector<double> draw(Noise noise, size_t n, double times, std::mt19937_64& random) {
    std::vector<double> samples(n);
    for (double& sample : samples) sample = 1e6 * times * noise(random);
    return samples;
}

struct Rates {
    double alarms = 0;    // comparisons in which any metric is faster or slower
    double found = 0;     // in which the one that has become slower is said to be
    double mistaken = 0;  // in which another is said to have changed
};

Rates rates_of(Noise noise, size_t n, double slowdown) {
    std::mt19937_64 random(n);
    Rates rates;
    for (size_t trial = 0; trial < trials; trial++) {
        std::vector<SamplePair> pairs;
        for (size_t i = 0; i < metrics; i++)
            pairs.push_back(
                {Better::lower, draw(noise, n, 1, random), draw(noise, n, i == 0 ? slowdown : 1, random)});
        JudgementOptions options;
        options.seed = trial;
        bool alarmed = false, mistaken = false;
        const std::vector<Judgement> judgements = judge(pairs, options);
        for (size_t i = 0; i < metrics; i++) {
            const Verdict verdict = judgements[i].verdict;
            const bool changed = verdict == Verdict::slower || verdict == Verdict::faster;
            alarmed |= changed;
            mistaken |= changed && i > 0;
        }
        const double share = 1 / static_cast<double>(trials);
        rates.alarms += alarmed ? share : 0;
        rates.mistaken += mistaken ? share : 0;
        rates.found += judgements[0].verdict == Verdict::slower ? share : 0;
    }
    return rates;
}

Rates printed(const std::string& noise, size_t n, const Rates& same, const Rates& slowed) {
    fmt::print(
        "{}, n = {:>3}: {:.1f} % false alarms; a slowdown of 10 % is found in {:.1f} %, and {:.1f} % say so "
        "of another metric\n",
        noise, n, same.alarms * 100, slowed.found * 100, slowed.mistaken * 100);
    return {same.alarms, slowed.found, slowed.mistaken};
}

Rates rates(const std::string& name, Noise noise, size_t n) {
    return printed(name, n, rates_of(noise, n, 1), rates_of(noise, n, 1.1));
}

// Of few trials, one may be beyond what many show.
bool is_at_most_a_hundredth(double share) {
    return share * static_cast<double>(trials) <= std::max(1.0, 0.01 * static_cast<double>(trials)) + 1e-9;
}

TEST(VerdictRates, OfAQuietHostWithThirtySamples) {
    const Rates with_30 = rates("5 % noise, long tail", of_quiet_host, 30);
    EXPECT_TRUE(is_at_most_a_hundredth(with_30.alarms)) << with_30.alarms;
    EXPECT_TRUE(is_at_most_a_hundredth(with_30.mistaken)) << with_30.mistaken;
    EXPECT_TRUE(is_at_most_a_hundredth(1 - with_30.found)) << with_30.found;
}

TEST(VerdictRates, OfABusyHostWithManySamples) {
    const Rates with_300 = rates("busy host", of_busy_host, 300);
    EXPECT_TRUE(is_at_most_a_hundredth(with_300.alarms)) << with_300.alarms;
    EXPECT_TRUE(is_at_most_a_hundredth(1 - with_300.found)) << with_300.found;
}

}  // namespace
}  // namespace gpremap

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    CLI::App app;
    app.add_option("--trials", gpremap::trials, "comparisons of each kind");
    CLI11_PARSE(app, argc, argv);
    return RUN_ALL_TESTS();
}
