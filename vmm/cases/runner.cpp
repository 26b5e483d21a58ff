#include "vmm/cases/runner.h"

#include <fmt/format.h>

#include "vmm/base/errno_names.h"

namespace gpremap {

namespace {

// Two words that differ from each other, from zero and from every letter's.
constexpr uint64_t probe_a = 0x5aa5f00f12345678;
constexpr uint64_t probe_b = 0x0ff0a55a87654321;

class CaseRun {
  public:
    CaseRun(CasePlace& place, const Case& c) : place_(place), case_(c) {}

    CaseOutcome run() {
        CaseOutcome outcome;
        outcome.expected = case_.after;
        try {
            make_calls();
            outcome.actual = place_.picture(place_.window(), case_.before.size(), Touch::reading_and_writing);
            if (outcome.actual != case_.after) wrong("the window differs");
            if (wrong_.empty()) look_closer();
        } catch (const CaseSkipped& skipped) {
            return {CaseOutcome::Status::skipped, case_.after, "", skipped.what()};
        } catch (const CaseFailed& failed) {
            wrong(failed.what());
        }
        outcome.detail = wrong_;
        outcome.status = wrong_.empty() ? CaseOutcome::Status::passed : CaseOutcome::Status::failed;
        return outcome;
    }

  private:
    void wrong(const std::string& what) { wrong_ += (wrong_.empty() ? "" : "; ") + what; }

    uint64_t bytes(const Quantity& quantity) const {
        const uint64_t offset = quantity.granules * case_.granule + quantity.bytes;
        switch (quantity.origin) {
            case Quantity::Origin::window:
                return place_.window() + offset;
            case Quantity::Origin::aperture_end:
                return place_.aperture_end() + offset;
            default:
                return offset;
        }
    }

    uint64_t granule(int64_t index) const {
        return place_.window() + static_cast<uint64_t>(index) * case_.granule;
    }

    RawCall raw(const CaseCall& call) const {
        RawCall lowered;
        lowered.number = call.number;
        for (size_t i = 0; i < call.args.size(); ++i) lowered.args[i] = bytes(call.args[i]);
        for (const CaseCall& element : call.batch) lowered.batch.push_back(raw(element));
        return lowered;
    }

    // Up to the first call that does not do what it should: what follows would only add noise.
    void make_calls() {
        place_.build(case_);
        const std::string built = place_.picture(place_.window(), case_.before.size(), Touch::reading);
        if (built != case_.before) throw CaseFailed("the picture before could not be built: it is " + built);
        for (size_t i = 0; i < case_.steps.size() && wrong_.empty(); ++i) {
            const CaseStep& step = case_.steps[i];
            if (const auto* call = std::get_if<CaseCall>(&step.action))
                make_call(i, *call, step.returns);
            else
                check_fault(i, std::get<CaseFault>(step.action));
        }
    }

    bool in_window(uint64_t address) const {
        return address - place_.window() < case_.before.size() * case_.granule;
    }

    bool is_expected(const Returns& expected, int64_t result) const {
        const bool is_error = result < 0 && result >= -4095;
        const auto address = static_cast<uint64_t>(result);
        switch (expected.kind) {
            case Returns::Kind::error:
                return result == -expected.value;
            case Returns::Kind::index:
                return !is_error && address == granule(expected.value);
            case Returns::Kind::elsewhere:
                return !is_error && address % case_.granule == 0 && !in_window(address);
            default:
                return !is_error;
        }
    }

    void make_call(size_t index, const CaseCall& call, const Returns& expected) {
        const int64_t result = place_.call(raw(call));
        if (expected.kind != Returns::Kind::error && returns_address(call.number))
            last_address_ = static_cast<uint64_t>(result);
        if (!is_expected(expected, result))
            wrong(
                fmt::format("call {} returned {}, expected {}", index, describe(result), describe(expected)));
    }

    void check_fault(size_t index, const CaseFault& fault) {
        if (!place_.faults(bytes(fault.at), fault.access))
            wrong(fmt::format("call {}: the {} did not fault", index,
                              fault.access == abi::FaultKind::write ? "write" : "read"));
    }

    std::string describe(int64_t result) const {
        if (result < 0 && result >= -4095) return errno_name(-result);
        const auto address = static_cast<uint64_t>(result);
        if (in_window(address) && address % case_.granule == 0)
            return fmt::format("{}", (address - place_.window()) / case_.granule);
        return fmt::format("{:#x}", address);
    }

    std::string describe(const Returns& expected) const {
        switch (expected.kind) {
            case Returns::Kind::error:
                return errno_name(expected.value);
            case Returns::Kind::index:
                return fmt::format("{}", expected.value);
            case Returns::Kind::elsewhere:
                return "a place elsewhere";
            default:
                return "ok";
        }
    }

    // Everything but the picture. `same` and `distinct` write to the window, so they come last.
    void look_closer() {
        if (!case_.result.empty()) {
            const std::string actual =
                place_.picture(last_address_, case_.result.size(), Touch::reading_and_writing);
            if (actual != case_.result)
                wrong(fmt::format("at the result stands {}, expected {}", actual, case_.result));
        }
        if (case_.extents) {
            const uint64_t actual = place_.extents(place_.window(), case_.before.size());
            if (actual != *case_.extents)
                wrong(fmt::format("the window holds {} extents, expected {}", actual, *case_.extents));
        }
        for (const auto& [a, b] : case_.same) check_pair(a, b, "same");
        for (const auto& [a, b] : case_.distinct) check_pair(a, b, "distinct");
    }

    // Writes through each of the two and reads through the other.
    void check_pair(int64_t a, int64_t b, std::string_view expected) {
        for (const auto& [through, seen] : {std::pair(a, b), std::pair(b, a)}) {
            place_.poke(granule(seen), probe_a);
            place_.poke(granule(through), probe_b);
            const bool same = place_.peek(granule(seen)) == probe_b;
            if (same != (expected == "same"))
                wrong(fmt::format("a write through granule {} is {}seen through {}, expected {} memory",
                                  through, same ? "" : "not ", seen, expected));
        }
    }

    CasePlace& place_;
    const Case& case_;
    std::string wrong_;
    uint64_t last_address_ = 0;
};

}  // namespace

CaseOutcome run_case(CasePlace& place, const Case& c) {
    return CaseRun(place, c).run();
}

}  // namespace gpremap
