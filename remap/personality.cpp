#include "remap/personality.h"

#include "remap/planner.h"

namespace remap {
namespace {

Errno errno_of(Cause cause, const CauseErrors& errors) {
    switch (cause) {
        case Cause::not_mapped:
            return errors.not_mapped;
        case Cause::sealed:
            return Errno::eperm;
        case Cause::pinned:
            return Errno::eagain;
        case Cause::crosses:
            return Errno::efault;
        case Cause::lock_limit:
            return errors.lock_limit;
        case Cause::occupied:
            return errors.occupied;
        case Cause::memory_limit:
        case Cause::extent_limit:
        case Cause::no_room:
            return Errno::enomem;
    }
    return Errno::einval;
}

}  // namespace

Answer planned(const Space& space, const Request& request, const CauseErrors& errors) {
    return plan(space, request).map_error([&](Cause cause) { return errno_of(cause, errors); });
}

}  // namespace remap
