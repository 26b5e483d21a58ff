#include "vmm/libvirt/diagnosis.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>

#include "vmm/base/errors.h"
#include "vmm/libvirt/connection.h"
#include "vmm/libvirt/embedded_driver.h"
#include "vmm/libvirt/private_folder.h"

namespace gpremap {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience(8);

struct FreeText {
    void operator()(char* text) const { std::free(text); }
};

// All that a connection's process has to say, "+reason" or "-reason"; what it said until then where it does
// not end in time.
std::string read_in_time(int from) {
    std::string text;
    const auto end = Clock::now() + patience;
    for (;;) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
        pollfd waiting{from, POLLIN, 0};
        if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0) return text;
        char part[512];
        ssize_t got = read(from, part, sizeof part);
        if (got <= 0) return text;
        text.append(part, static_cast<size_t>(got));
    }
}

// A daemon may not answer, and a driver inside of the process leaves its threads: another process tries.
std::string tried_elsewhere(const std::function<std::string()>& work) {
    int ends[2];
    if (pipe(ends) != 0) return "-no pipe";
    pid_t child = fork();
    if (child == 0) {
        std::string said;
        try {
            said = "+" + work();
        } catch (const std::exception& error) {
            said = std::string("-") + error.what();
        }
        ssize_t written = write(ends[1], said.data(), said.size());
        _exit(written < 0);
    }
    close(ends[1]);
    std::string said = child < 0 ? "-no process" : read_in_time(ends[0]);
    close(ends[0]);
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    return said.empty() ? fmt::format("-no answer within {} s", patience.count()) : said;
}

std::string guests_of(virConnectPtr connection) {
    std::unique_ptr<char, FreeText> xml(
        checked(virConnectGetCapabilities(connection), "cannot read its capabilities"));
    bool kvm = std::string(xml.get()).find("<domain type='kvm'") != std::string::npos;
    return kvm ? "KVM and emulated (TCG) guests" : "emulated (TCG) guests only";
}

// Free huge pages of each node, as libvirt counts them; empty where the driver cannot.
std::string free_pages_of(virConnectPtr connection) {
    constexpr unsigned most_nodes = 64;
    unsigned size = 2048;  // KiB
    unsigned long long counts[most_nodes] = {};
    virNodeInfo info;
    if (virNodeGetInfo(connection, &info) != 0) return "";
    unsigned nodes = std::min(info.nodes, most_nodes);
    if (virNodeGetFreePages(connection, 1, &size, 0, nodes, counts, 0) < 0) return "";
    std::string text = "; huge pages of 2 MiB, free or promised:";
    for (unsigned node = 0; node < nodes; node++) text += fmt::format(" node{} {}", node, counts[node]);
    return text;
}

std::string try_daemon(const std::string& uri) {
    setenv("LIBVIRT_AUTOSTART", "0", 1);
    Connection connection = open_connection(uri);
    return guests_of(connection.get()) + free_pages_of(connection.get());
}

std::string try_test_driver() {
    Connection connection = open_connection("test:///default");
    return "domain files are read with it";
}

std::string try_embedded(const std::filesystem::path& folder) {
    // The driver logs to standard error, whatever its error function is. This process has nothing to say
    // there.
    if (!std::freopen("/dev/null", "w", stderr)) throw std::runtime_error("/dev/null cannot be opened");
    checked(virEventRegisterDefaultImpl(), "cannot make an event loop");
    std::thread([] {
        while (virEventRunDefaultImpl() == 0) {
        }
    }).detach();
    Connection connection = open_connection(embedded_uri(folder));
    return "QEMU's driver runs inside of gpremap";
}

LibvirtFinding judged(std::string what, const std::string& said, std::string mend) {
    bool works = said.starts_with('+');
    // Then nothing is to be installed.
    if (said.find("ermission denied") != std::string::npos || said.find("uthentication") != std::string::npos)
        mend = "run as root, or join the group that may use libvirt's daemon (usually libvirt)";
    return {std::move(what), works, said.substr(1), works ? "" : std::move(mend)};
}

LibvirtFinding examine_embedded() {
    const std::string what = "qemu:///embed";
    try {
        const PrivateFolder folder;
        return judged(what, tried_elsewhere([&] { return try_embedded(folder.path()); }),
                      "as root: apt-get install libvirt-daemon-system qemu-system-x86");
    } catch (const HostLacks& error) {
        const Lack lack = lack_of(error);
        return {what, false, lack.reason, lack.mend};
    } catch (const std::system_error& error) {
        return {what, false, std::string("no process: ") + error.what(),
                "end other processes, or raise ulimit -u"};
    }
}

}  // namespace

std::vector<LibvirtFinding> examine_libvirt() {
    unsigned long version = 0;
    virGetVersion(&version, nullptr, nullptr);
    auto daemon = [](const char* uri) { return tried_elsewhere([uri] { return try_daemon(uri); }); };
    return {
        {"libvirt", true,
         fmt::format("version {}.{}.{}", version / 1'000'000, version / 1000 % 1000, version % 1000), ""},
        judged("test:///default", tried_elsewhere(try_test_driver), "install libvirt0 anew"),
        judged("qemu:///system", daemon("qemu:///system"),
               "apt-get install libvirt-daemon-system qemu-system-x86, then start libvirtd"),
        judged("qemu:///session", daemon("qemu:///session"),
               "apt-get install libvirt-daemon qemu-system-x86, then start libvirtd as this user"),
        examine_embedded(),
    };
}

}  // namespace gpremap
