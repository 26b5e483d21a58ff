// Whether two sets of samples may be of one kind: a permutation test on the sum of ranks, and its correction for
// many tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gpremap {

// The share of permutations in which the ranks of `a` are as far from their mean as they are, to either side: how
// probable that is where both are of one kind. At most `permutations` are drawn, and fewer where it is soon clear
// that the share is large. Both have at least one sample, in any order.
double permutation_p(const std::vector<double>& a, const std::vector<double>& b, size_t permutations,
                     uint64_t seed);

// The least share that there can be for as many samples: below about 5 of each, no difference is beyond chance.
double least_p(size_t a, size_t b);

// Holm's correction: compared with one alpha, the probability that any of all these tests errs is alpha at most.
std::vector<double> corrected(const std::vector<double>& p);

}  // namespace gpremap
