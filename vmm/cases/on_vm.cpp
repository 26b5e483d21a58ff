// A running VM as a place for cases: everything that a case does, its picture included, the agent does.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "vmm/base/units.h"
#include "vmm/cases/runner.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/host/facts.h"
#include "vmm/host/huge_page_account.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/machine.h"

namespace gpremap {

namespace {

class VmPlace : public PlaceByCalls {
  public:
    VmPlace(uint64_t granule, Machine& machine)
        : PlaceByCalls(granule),
          machine_(machine),
          orders_(machine.guest(),
                  [&machine](unsigned, const abi::Step& step) { return machine.perform(vcpu, step); }) {}

    int64_t call(const RawCall& call) override {
        if (call.number == abi::Call::batch) return batch(call);
        return perform(order::call(call.number, call.args)).result;
    }

    bool faults(uint64_t at, abi::FaultKind access) override { return access_at(at, access, 0).faulted; }

    std::string picture(uint64_t at, uint64_t granules, Touch touch) override {
        const auto extents = query(at, granules);
        std::string seen;
        for (uint64_t i = 0; i < granules; ++i) seen += granule_seen(extents, at + i * granule(), touch);
        return seen;
    }

    uint64_t extents(uint64_t at, uint64_t granules) override { return query(at, granules).size(); }

    uint64_t peek(uint64_t at) override {
        make_writable(at);
        return read_word(at);
    }

    void poke(uint64_t at, uint64_t value) override {
        make_writable(at);
        if (access_at(at, abi::FaultKind::write, value).faulted)
            throw CaseFailed(fmt::format("the guest cannot write at {:#x}", at));
    }

    // Leaves the aperture empty, for the next case.
    void clear() {
        const MemoryConfig memory = case_memory(granule());
        set_limits(memory.limit, memory.lock_limit, memory.max_extents);
        for (const MapEntry& entry : machine_.remapper().map())
            if ((entry.attributes & GPREMAP_ATTRIBUTE_PINNED) != 0)
                must(abi::Call::unpin, {entry.at, entry.size});
        must(abi::Call::linux_munmap, {memory.aperture_base, memory.aperture_size});
    }

  private:
    struct Access {
        bool faulted;
        uint64_t value;  // read
    };

    static constexpr unsigned vcpu = 0;

    abi::Report perform(const abi::Step& step) { return machine_.perform(vcpu, step).report; }

    // The fault that is reported must be the one of this access.
    Access access_at(uint64_t at, abi::FaultKind kind, uint64_t value) {
        const bool writes = kind == abi::FaultKind::write;
        const abi::Report report = perform(writes ? order::write(at, value) : order::read(at));
        if (report.outcome != abi::Outcome::fault) return {false, static_cast<uint64_t>(report.result)};
        const abi::Fault& fault = report.fault;
        if (fault.cause != abi::FaultCause::stage2 || fault.address != at || fault.kind != kind)
            throw CaseFailed(fmt::format(
                "an access at {:#x} was reported as a fault at {:#x}, kind {}, cause {}", at, fault.address,
                static_cast<uint32_t>(fault.kind), static_cast<uint32_t>(fault.cause)));
        return {true, 0};
    }

    uint64_t read_word(uint64_t at) {
        const Access read = access_at(at, abi::FaultKind::read, 0);
        if (read.faulted) throw CaseFailed(fmt::format("the guest cannot read at {:#x}", at));
        return read.value;
    }

    void make_writable(uint64_t at) {
        const auto extents = query(at, 1);
        constexpr uint64_t read_write = GPREMAP_PROT_READ | GPREMAP_PROT_WRITE;
        if (extents.size() == 1 && (extents[0].prot & read_write) == read_write) return;
        must(abi::Call::protect, {at, granule(), read_write});
    }

    std::vector<abi::ExtentInfo> query(uint64_t at, uint64_t granules) {
        Orders::Queried queried = orders_.query(vcpu, at, granules * granule());
        const int64_t returned = queried.performed.report.result;
        if (returned < 0) throw CaseFailed(fmt::format("a query at {:#x} returned {}", at, returned));
        return std::move(queried.extents);
    }

    int64_t batch(const RawCall& whole) {
        std::vector<abi::BatchCall> calls;
        for (const RawCall& call : whole.batch) {
            abi::BatchCall entry{};
            entry.number = static_cast<uint64_t>(call.number);
            std::ranges::copy(call.args, entry.arg);
            calls.push_back(entry);
        }
        return orders_.batch(vcpu, calls).performed.report.result;
    }

    void fill(uint64_t at, uint8_t byte) override {
        if (perform(order::fill(at, granule(), {.value = byte})).outcome != abi::Outcome::ok)
            throw CaseFailed(fmt::format("the guest cannot fill the granule at {:#x}", at));
    }

    void set_limits(uint64_t memory, uint64_t locked, uint64_t extents) override {
        machine_.remapper().set_limits(memory, locked, extents);
    }

    // What the query says of the granule, held against what the guest can do there.
    char granule_seen(const std::vector<abi::ExtentInfo>& extents, uint64_t at, Touch touch) {
        const auto found = std::ranges::find_if(
            extents, [&](const abi::ExtentInfo& extent) { return at - extent.at < extent.size; });
        const Access read = access_at(at, abi::FaultKind::read, 0);
        const bool mapped = found != extents.end();
        if (!mapped || found->prot == 0) {
            const bool shut = read.faulted && access_at(at, abi::FaultKind::write, 0).faulted;
            return !shut ? '!' : mapped ? '_' : '.';
        }
        if (read.faulted) return '!';
        const bool writable = (found->prot & GPREMAP_PROT_WRITE) != 0;
        if (touch == Touch::reading_and_writing &&
            access_at(at, abi::FaultKind::write, read.value).faulted == writable)
            return '!';
        const auto byte = static_cast<uint8_t>(read.value);
        const auto verify = perform(order::verify(at, granule(), {.value = byte}));
        if (verify.outcome != abi::Outcome::ok) return '?';
        return writable ? letter_of_byte(byte) : static_cast<char>(toupper(letter_of_byte(byte)));
    }

    Machine& machine_;
    Orders orders_;
};

bool has_sealed(Machine& machine) {
    const auto map = machine.remapper().map();
    return std::ranges::any_of(
        map, [](const MapEntry& entry) { return (entry.attributes & GPREMAP_ATTRIBUTE_SEALED) != 0; });
}

}  // namespace

struct VmCases::State {
    MachineConfig machine;
    std::map<uint64_t, std::unique_ptr<Machine>> machines;  // by granule
};

VmCases::VmCases(MachineConfig machine) : state_(std::make_unique<State>(State{std::move(machine), {}})) {}
VmCases::~VmCases() = default;

CaseOutcome VmCases::run(const Case& c) {
    const Backing chosen = state_->machine.memory.backing;
    if (const BackingTraits& backing = traits_of(chosen); c.granule < backing.least_granule)
        return {CaseOutcome::Status::skipped, c.after, "",
                fmt::format("{} has no granules of {}", backing.name, format_size(c.granule))};
    std::unique_ptr<Machine>& machine = state_->machines[c.granule];
    if (!machine) {
        MachineConfig config = state_->machine;
        config.memory = case_memory(c.granule);
        config.memory.mechanism = state_->machine.memory.mechanism;
        config.memory.backing = chosen;
        require_huge_pages(config.memory);
        machine = std::make_unique<Machine>(config);
    }
    const HugePageAccount account(huge_page_of(chosen));
    VmPlace place(c.granule, *machine);
    CaseOutcome outcome = run_case(place, c);
    // What is sealed can never be taken away again, so the VM goes with it.
    if (has_sealed(*machine))
        machine.reset();
    else
        place.clear();
    if (auto difference = account.difference()) outcome.fail(*difference);
    return outcome;
}

}  // namespace gpremap
