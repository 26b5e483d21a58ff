#include "vmm/host/conditions.h"

#include <unistd.h>

#include <charconv>
#include <fstream>
#include <set>
#include <system_error>

namespace gpremap {

namespace {

namespace fs = std::filesystem;

std::optional<std::string> governors(const fs::path& cpufreq) {
    std::set<std::string> names;
    std::error_code none;
    for (const auto& policy : fs::directory_iterator(cpufreq, none)) {
        std::string name;
        if (std::ifstream(policy.path() / "scaling_governor") >> name) names.insert(name);
    }
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    return all.empty() ? std::nullopt : std::optional(all);
}

std::optional<std::array<double, 3>> load(const fs::path& loadavg) {
    std::ifstream file(loadavg);
    std::array<double, 3> means;
    if (file >> means[0] >> means[1] >> means[2]) return means;
    return std::nullopt;
}

// "cpu  user nice system idle iowait irq softirq steal", in ticks.
std::optional<uint64_t> steal_ms(const fs::path& stat) {
    std::ifstream file(stat);
    std::string name;
    uint64_t ticks = 0;
    file >> name;
    for (int column = 0; column < 8; column++) file >> ticks;
    if (!file || name != "cpu") return std::nullopt;
    return ticks * 1000 / static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
}

// "some avg10=0.12 avg60=0.05 avg300=0.01 total=123456"
std::optional<Pressure> pressure(const fs::path& path) {
    std::ifstream file(path);
    std::string word;
    if (!(file >> word) || word != "some") return std::nullopt;
    std::map<std::string, double> values;
    while (file >> word && word != "full") {
        const size_t equals = word.find('=');
        if (equals == std::string::npos) return std::nullopt;
        double& value = values[word.substr(0, equals)];
        std::from_chars(word.data() + equals + 1, word.data() + word.size(), value);
    }
    return Pressure{values["avg10"], values["avg60"], static_cast<uint64_t>(values["total"])};
}

}  // namespace

HostConditions read_conditions(const fs::path& root) {
    HostConditions conditions;
    conditions.governor = governors(root / "sys/devices/system/cpu/cpufreq");
    conditions.load = load(root / "proc/loadavg");
    conditions.steal_ms = steal_ms(root / "proc/stat");
    for (const char* resource : {"cpu", "memory", "io"})
        conditions.pressure[resource] = pressure(root / "proc/pressure" / resource);
    return conditions;
}

}  // namespace gpremap
