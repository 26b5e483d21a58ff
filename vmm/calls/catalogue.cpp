#include "vmm/calls/catalogue.h"

#include "remap/linux.h"
#include "remap/native.h"
#include "remap/netbsd.h"
#include "remap/utek.h"

namespace gpremap {
namespace {

namespace native = remap::native;
namespace linux_calls = remap::linux_calls;
namespace netbsd = remap::netbsd;
namespace utek = remap::utek;

// The wire and the core use the same numbers, so that they can be passed on as they are.
static_assert(GPREMAP_FLAG_ANYWHERE == native::flag::anywhere && GPREMAP_FLAG_HINT == native::flag::hint &&
              GPREMAP_FLAG_REPLACE == native::flag::replace &&
              GPREMAP_FLAG_KEEP_HOLES == native::flag::keep_holes &&
              GPREMAP_FLAG_MAY_MOVE == native::flag::may_move &&
              GPREMAP_FLAG_SHARED == native::flag::shared && GPREMAP_PROT_PREVIOUS == native::prot_previous);
static_assert(GPREMAP_PROT_READ == remap::readable.bits && GPREMAP_PROT_WRITE == remap::writable.bits &&
              GPREMAP_PROT_EXEC == remap::executable.bits);
static_assert(GPREMAP_LINUX_MREMAP_MAYMOVE == linux_calls::mremap_maymove &&
              GPREMAP_LINUX_MREMAP_FIXED == linux_calls::mremap_fixed &&
              GPREMAP_LINUX_MREMAP_DONTUNMAP == linux_calls::mremap_dontunmap &&
              GPREMAP_LINUX_MAP_SHARED == linux_calls::map_shared &&
              GPREMAP_LINUX_MAP_PRIVATE == linux_calls::map_private &&
              GPREMAP_LINUX_MAP_FIXED == linux_calls::map_fixed &&
              GPREMAP_LINUX_MAP_ANONYMOUS == linux_calls::map_anonymous &&
              GPREMAP_LINUX_MAP_FIXED_NOREPLACE == linux_calls::map_fixed_noreplace &&
              GPREMAP_LINUX_MADV_DONTNEED == linux_calls::madv_dontneed &&
              GPREMAP_LINUX_MADV_REMOVE == linux_calls::madv_remove &&
              GPREMAP_LINUX_MADV_POPULATE_WRITE == linux_calls::madv_populate_write);
static_assert(GPREMAP_NETBSD_MAP_FIXED == netbsd::map_fixed &&
              GPREMAP_NETBSD_MAP_REMAPDUP == netbsd::map_remapdup &&
              GPREMAP_NETBSD_MAP_ALIGNMENT_SHIFT == netbsd::map_alignment_shift &&
              GPREMAP_NETBSD_MAP_ALIGNMENT_MASK == netbsd::map_alignment_mask);
static_assert(GPREMAP_UTEK_RELEASE_ZFILL == utek::release_zfill && GPREMAP_UTEK_PREVIOUS == utek::previous);
static_assert(GPREMAP_EMCOLLIDE == static_cast<int64_t>(remap::Errno::emcollide) &&
              GPREMAP_EMRANGE == static_cast<int64_t>(remap::Errno::emrange));

}  // namespace

remap::Answer plan_call(const remap::Space& space, abi::Call number, const std::array<uint64_t, 6>& args) {
    using native::Value;
    using native::Which;
    const auto [a, b, c, d, e, f] = args;
    switch (number) {
        case abi::Call::map:
            return native::map(space, a, b, c, d);
        case abi::Call::unmap:
            return native::unmap(space, a, b);
        case abi::Call::move:
            return native::move(space, a, b, c, d);
        case abi::Call::grow:
            return native::grow(space, a, b, c, d);
        case abi::Call::shrink:
            return native::shrink(space, a, b, c);
        case abi::Call::alias:
            return native::alias(space, a, b, c, d, e);
        case abi::Call::protect:
            return native::protect(space, a, b, c);
        case abi::Call::release:
            return native::release(space, a, b);
        case abi::Call::exchange:
            return native::exchange(space, a, b, c);
        case abi::Call::snapshot:
            return native::snapshot(space, a, b, c, d, e);
        case abi::Call::seal:
            return native::set_attribute(space, a, b, Which::sealed, Value::on);
        case abi::Call::lock:
            return native::set_attribute(space, a, b, Which::locked, Value::on);
        case abi::Call::unlock:
            return native::set_attribute(space, a, b, Which::locked, Value::off);
        case abi::Call::pin:
            return native::set_attribute(space, a, b, Which::pinned, Value::on);
        case abi::Call::unpin:
            return native::set_attribute(space, a, b, Which::pinned, Value::off);
        case abi::Call::linux_mremap:
            return linux_calls::mremap(space, a, b, c, d, e);
        case abi::Call::linux_mmap:
            return linux_calls::mmap(space, a, b, c, d);
        case abi::Call::linux_munmap:
            return linux_calls::munmap(space, a, b);
        case abi::Call::linux_mprotect:
            return linux_calls::mprotect(space, a, b, c);
        case abi::Call::linux_madvise:
            return linux_calls::madvise(space, a, b, c);
        case abi::Call::linux_mlock:
            return linux_calls::mlock(space, a, b);
        case abi::Call::linux_munlock:
            return linux_calls::munlock(space, a, b);
        case abi::Call::linux_mseal:
            return linux_calls::mseal(space, a, b, c);
        case abi::Call::netbsd_mremap:
            return netbsd::mremap(space, a, b, c, d, e);
        case abi::Call::utek_mremap:
            return utek::mremap(space, a, b, c, d);
        default:
            return remap::fails(remap::Errno::enosys);
    }
}

bool is_batch_size(uint64_t count) {
    return count > 0 && count <= GPREMAP_MAX_BATCH;
}

namespace {

bool is_batchable(abi::Call number) {
    return number >= abi::Call::map && number < abi::Call::batch && number != abi::Call::query;
}

}  // namespace

remap::Answer plan_batch(const remap::Space& space, std::span<abi::BatchCall> calls) {
    remap::Plan whole{space, {}};
    for (abi::BatchCall& call : calls) {
        auto number = static_cast<abi::Call>(call.number);
        if (!is_batchable(number)) return remap::fails(remap::Errno::einval);
        auto plan = plan_call(whole.after, number, std::to_array(call.arg));
        if (!plan) return plan;
        call.result = static_cast<int64_t>(plan->result.value);
        whole.after = std::move(plan->after);
        whole.steps.insert(whole.steps.end(), plan->steps.begin(), plan->steps.end());
        whole.bytes.bytes += plan->bytes.bytes;
        whole.moved = whole.moved || plan->moved;
        whole.huge_kept = whole.huge_kept && plan->huge_kept;
    }
    return whole;
}

abi::ExtentInfo extent_info(const remap::Extent& extent, uint64_t page_size) {
    const remap::Attributes& is = extent.attributes;
    uint64_t attributes =
        (is.shared ? GPREMAP_ATTRIBUTE_SHARED : 0) | (is.locked ? GPREMAP_ATTRIBUTE_LOCKED : 0) |
        (is.pinned ? GPREMAP_ATTRIBUTE_PINNED : 0) | (is.sealed ? GPREMAP_ATTRIBUTE_SEALED : 0);
    return {extent.range.start().value, extent.range.size().bytes, extent.prot.bits, attributes, page_size};
}

}  // namespace gpremap
