#include "vmm/hypercall.h"

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
static_assert(abi::flag_anywhere == native::flag::anywhere && abi::flag_hint == native::flag::hint &&
              abi::flag_replace == native::flag::replace &&
              abi::flag_keep_holes == native::flag::keep_holes &&
              abi::flag_may_move == native::flag::may_move && abi::flag_shared == native::flag::shared &&
              abi::prot_previous == native::prot_previous);
static_assert(abi::prot_read == remap::readable.bits && abi::prot_write == remap::writable.bits &&
              abi::prot_exec == remap::executable.bits);
static_assert(abi::linux_flags::mremap_maymove == linux_calls::mremap_maymove &&
              abi::linux_flags::mremap_fixed == linux_calls::mremap_fixed &&
              abi::linux_flags::mremap_dontunmap == linux_calls::mremap_dontunmap &&
              abi::linux_flags::map_shared == linux_calls::map_shared &&
              abi::linux_flags::map_private == linux_calls::map_private &&
              abi::linux_flags::map_fixed == linux_calls::map_fixed &&
              abi::linux_flags::map_anonymous == linux_calls::map_anonymous &&
              abi::linux_flags::map_fixed_noreplace == linux_calls::map_fixed_noreplace &&
              abi::linux_flags::madv_dontneed == linux_calls::madv_dontneed &&
              abi::linux_flags::madv_remove == linux_calls::madv_remove &&
              abi::linux_flags::madv_populate_write == linux_calls::madv_populate_write);
static_assert(abi::netbsd_flags::map_fixed == netbsd::map_fixed &&
              abi::netbsd_flags::map_remapdup == netbsd::map_remapdup &&
              abi::netbsd_flags::map_alignment_shift == netbsd::map_alignment_shift &&
              abi::netbsd_flags::map_alignment_mask == netbsd::map_alignment_mask);
static_assert(abi::utek_flags::release_zfill == utek::release_zfill &&
              abi::utek_flags::previous == utek::previous);
static_assert(abi::error_emcollide == static_cast<int64_t>(remap::Errno::emcollide) &&
              abi::error_emrange == static_cast<int64_t>(remap::Errno::emrange));

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
    return count > 0 && count <= abi::max_batch;
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
    uint64_t attributes = (is.shared ? abi::attribute_shared : 0) | (is.locked ? abi::attribute_locked : 0) |
                          (is.pinned ? abi::attribute_pinned : 0) | (is.sealed ? abi::attribute_sealed : 0);
    return {extent.range.start().value, extent.range.size().bytes, extent.prot.bits, attributes, page_size};
}

}  // namespace gpremap
