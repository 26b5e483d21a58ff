// The host's processors, as far as this process may use them.
#pragma once

#include <string>
#include <vector>

namespace gpremap {

struct Processor {
    unsigned number = 0;
    unsigned core = 0;  // the same for hyperthreads of one core: the lowest of their numbers
};

// Those that the calling thread may run on, by what taskset and cgroups leave it, in the order of their numbers.
// Throws std::system_error.
std::vector<Processor> usable_processors();

// Has the calling thread run on these alone, and the threads that it starts from then on. There must be one; all
// must be usable. Throws std::system_error, and nothing has changed then.
void run_on(const std::vector<unsigned>& processors);

// "0-3,8"; `processors` in the order of their numbers.
std::string list_of(const std::vector<unsigned>& processors);

}  // namespace gpremap
