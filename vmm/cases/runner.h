// Runs cases: builds the picture, makes the calls, compares what came of them with what was expected.
#pragma once

#include <memory>
#include <string>

#include "vmm/cases/place.h"
#include "vmm/cases/reading.h"
#include "vmm/config/machine_config.h"

namespace gpremap {

struct CaseOutcome {
    enum class Status { passed, failed, skipped };
    Status status = Status::passed;
    std::string expected;  // the picture after
    std::string actual;    // as it was found; empty where the case was skipped
    std::string detail;    // what was wrong, or why it was skipped

    // It has failed, whatever it was before, and that is wrong, too.
    void fail(const std::string& what);
};

// Runs one case in a place that holds nothing yet. What goes wrong is part of the outcome; only the death of
// a guest is thrown, as GuestDied.
CaseOutcome run_case(CasePlace& place, const Case& c);

// A VM for each granule, which serves many cases: each leaves its aperture empty for the next. Throws what
// Machine does.
class VmCases {
  public:
    // Each VM is `machine`, but for the memory that its cases ask for.
    explicit VmCases(MachineConfig machine);
    ~VmCases();

    CaseOutcome run(const Case& c);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

// The pure library, without a machine.
CaseOutcome run_case_on_model(const Case& c);

// This machine's own mmap and mremap. Each case runs in a process of its own, because a sealed mapping
// can never be taken away again.
CaseOutcome run_case_on_host(const Case& c);

}  // namespace gpremap
