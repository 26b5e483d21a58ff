#include "vmm/cases/runner.h"

#include <fmt/format.h>

#include "vmm/base/errno_names.h"
#include "vmm/cases/words.h"

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

    uint64_t bytes(const Operand& operand) const {
        if (!fits(operand, case_.granule))
            throw CaseSkipped("it counts granules that are 2^64 bytes and more with this granule");
        Names names(case_.granule);
        names.define(std::string(window_name), {place_.window()});
        names.define(std::string(aperture_end_name), {place_.aperture_end()});
        return operand.in(names);
    }

    uint64_t granule(int64_t index) const {
        return place_.window() + static_cast<uint64_t>(index) * case_.granule;
    }

    RawCall raw(const CallAction& call) const {
        RawCall lowered;
        lowered.number = call.number;
        for (size_t i = 0; i < call.args.size(); ++i) lowered.args[i] = bytes(call.args[i].value);
        return lowered;
    }

    RawCall raw(const BatchAction& batch) const {
        RawCall lowered;
        lowered.number = abi::Call::batch;
        for (const CallAction& call : batch.calls) lowered.batch.push_back(raw(call));
        return lowered;
    }

    // Up to the first call that does not do what it should: what follows would only add noise.
    void make_calls() {
        place_.build(case_);
        const std::string built = place_.picture(place_.window(), case_.before.size(), Touch::reading);
        if (built != case_.before) throw CaseFailed("the picture before could not be built: it is " + built);
        for (size_t i = 0; i < case_.steps.size() && wrong_.empty(); ++i) {
            const CaseStep& step = case_.steps[i];
            if (const auto* fault = std::get_if<CaseFault>(&step.action))
                check_fault(i, *fault);
            else if (const auto* call = std::get_if<CallAction>(&step.action))
                make_call(i, raw(*call), step);
            else
                make_call(i, raw(std::get<BatchAction>(step.action)), step);
        }
    }

    bool in_window(uint64_t address) const {
        return address - place_.window() < case_.before.size() * case_.granule;
    }

    bool is_expected(const Returns& expected, int64_t result) const {
        const auto address = static_cast<uint64_t>(result);
        switch (expected.kind) {
            case Returns::Kind::error:
                return result == -expected.value;
            case Returns::Kind::index:
                return !is_error(result) && address == granule(expected.value);
            case Returns::Kind::elsewhere:
                return !is_error(result) && address % case_.granule == 0 && !in_window(address);
            default:
                return !is_error(result);
        }
    }

    void make_call(size_t index, const RawCall& call, const CaseStep& step) {
        const Returns& expected = step.returns;
        const int64_t result = place_.call(call);
        if (expected.kind != Returns::Kind::error && returns_address(step))
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
        if (is_error(result)) return errno_name(-result);
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

void CaseOutcome::fail(const std::string& what) {
    detail += (detail.empty() ? "" : "; ") + what;
    status = Status::failed;
}

CaseOutcome run_case(CasePlace& place, const Case& c) {
    return CaseRun(place, c).run();
}

}  // namespace gpremap
