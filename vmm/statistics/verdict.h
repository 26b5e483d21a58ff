// Whether one thing has become slower: what a test and an effect say together.
//
//     beyond chance, and by the effect or more      faster, slower
//     the interval of the ratio is within it        no difference
//     else                                          too noisy to say
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "vmm/statistics/bootstrap.h"

namespace gpremap {

enum class Better { lower, higher };
enum class Verdict { faster, slower, no_difference, too_noisy };

std::string_view name_of(Better better);
std::string_view name_of(Verdict verdict);  // "faster", ..., as people read it

// Samples of one thing, before and after, in one unit; each has at least one, and none is below 0.
struct SamplePair {
    Better better = Better::lower;
    std::vector<double> base;
    std::vector<double> fresh;
};

struct Judgement {
    double base = 0;  // medians
    double fresh = 0;
    double ratio = 0;   // fresh over base
    Interval interval;  // of the ratio
    double p = 1;       // corrected for all that were judged together
    Verdict verdict = Verdict::too_noisy;
};

struct JudgementOptions {
    double effect = 0.05;  // the least share that counts
    double alpha = 0.01;   // the probability that any verdict of all is wrong where nothing has changed
    uint64_t seed = 1;
};

// In the order of `pairs`. The same samples and seed give the same verdicts.
std::vector<Judgement> judge(std::span<const SamplePair> pairs, const JudgementOptions& options);

}  // namespace gpremap
