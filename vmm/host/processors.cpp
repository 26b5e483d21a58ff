#include "vmm/host/processors.h"

#include <fmt/format.h>
#include <sched.h>

#include <array>
#include <fstream>

#include "vmm/base/descriptor.h"

namespace gpremap {

namespace {

// As large as the kernel's own can be; a cpu_set_t has room for 1024.
constexpr unsigned most_processors = 8192;
using Set = std::array<cpu_set_t, most_processors / CPU_SETSIZE>;

// The list of siblings begins with the lowest: "0-1", "0,4". Without one, each has a core of its own.
unsigned core_of(unsigned processor) {
    std::ifstream siblings(
        fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", processor));
    unsigned first = 0;
    return siblings >> first ? first : processor;
}

}  // namespace

std::vector<Processor> usable_processors() {
    Set set = {};
    if (sched_getaffinity(0, sizeof set, set.data()) != 0) throw_errno("which processors there are");
    std::vector<Processor> usable;
    for (unsigned processor = 0; processor < most_processors; processor++)
        if (CPU_ISSET_S(processor, sizeof set, set.data())) usable.push_back({processor, core_of(processor)});
    return usable;
}

void run_on(const std::vector<unsigned>& processors) {
    Set set = {};
    for (unsigned processor : processors) CPU_SET_S(processor, sizeof set, set.data());
    if (sched_setaffinity(0, sizeof set, set.data()) != 0)
        throw_errno("running on processors " + list_of(processors));
}

std::string list_of(const std::vector<unsigned>& processors) {
    std::string list;
    for (size_t i = 0; i < processors.size();) {
        size_t end = i + 1;
        while (end < processors.size() && processors[end] == processors[end - 1] + 1) end++;
        list += fmt::format("{}{}", list.empty() ? "" : ",", processors[i]);
        if (end - i > 1) list += fmt::format("-{}", processors[end - 1]);
        i = end;
    }
    return list;
}

}  // namespace gpremap
