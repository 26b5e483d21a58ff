// Case files: semantics as tables. One case is one picture before, the calls, one picture after; one
// character of a picture is one granule.
//
//     before = "ab.."      granule 0 holds a's, 1 holds b's, nothing is mapped at 2 and 3
//     after  = ".b.."
//
// Calls are read as everywhere (vmm/calls). Where the window lies, and with it what an address means, is
// decided by the place that runs the case.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/calls/call.h"

namespace gpremap {

// An access by the guest that must fault.
struct CaseFault {
    Operand at;
    abi::FaultKind access = abi::FaultKind::read;
};

struct Returns {
    enum class Kind {
        index,      // value: the granule of the window whose address is returned
        elsewhere,  // an address outside the window
        error,      // value: the errno
        ok,         // no error; the call returns no address, or the case does not care which
    };
    Kind kind = Kind::ok;
    int64_t value = 0;
};

struct CaseStep {
    std::variant<CallAction, BatchAction, CaseFault> action;
    Returns returns;  // of a call
};

enum class Attribute : char { none = '-', shared = 's', locked = 'l', pinned = 'p', sealed = 'x' };

struct Case {
    std::string file;
    std::string name;
    std::string source;
    std::string before;            // the picture without its bars
    std::vector<bool> bar;         // bar[i]: granules i - 1 and i were mapped by separate calls
    std::vector<Attribute> attrs;  // one for each granule of before
    std::vector<CaseStep> steps;
    std::string after;
    std::string result;
    std::vector<std::pair<int64_t, int64_t>> same;
    std::vector<std::pair<int64_t, int64_t>> distinct;
    std::optional<uint64_t> extents;
    std::optional<uint64_t> limit;        // granules
    std::optional<uint64_t> lock_limit;   // granules
    std::optional<uint64_t> max_extents;  // extents
    uint64_t granule = 4096;              // bytes
    bool granule_stated = false;          // the case names its granule, so none may be put in its place
};

// Reads and validates a case file, which is all that `gpremap check` does. Throws ConfigError, with file,
// line and key, for the first thing wrong.
std::vector<Case> read_case_file(const std::string& path);

// The same for text that stands in no file; `name` takes the file's place in messages.
std::vector<Case> parse_cases(std::string_view text, const std::string& name);

// Whether this step's result, where it is no error, is an address.
bool returns_address(const CaseStep& step);

// Whether a picture may hold this character: '.', '0', a-z, A-Z, '_'.
bool is_picture(char c);

}  // namespace gpremap
