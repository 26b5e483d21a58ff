// What calls mean for the names of ranges.
#pragma once

#include "vmm/calls/call.h"

namespace gpremap {

// What a call that returned `result` means for the names of ranges. Its operands are those of `before`, which may be
// `names` itself.
void follow_call(const CallAction& call, uint64_t result, const Names& before, Names& names);

// Where a call that succeeds will put its result, as far as the arguments say; `otherwise` for a place
// that the VMM chooses.
uint64_t predicted_result(const CallAction& call, const Names& names, uint64_t otherwise);

// Where the result stands of a call that returned `result`: not every call returns it.
uint64_t place_of_result(const CallAction& call, uint64_t result, const Names& names);

// Whether the VMM, and not the call, says where the range is afterwards.
bool chooses_address(const CallAction& call);

// The range whose address a call changes; empty for one without a name.
std::string moving_name(const CallAction& call);

}  // namespace gpremap
