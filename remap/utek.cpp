#include "remap/utek.h"

namespace remap::utek {
namespace {

constexpr CauseErrors errors{
    .not_mapped = Errno::emrange, .lock_limit = Errno::eagain, .occupied = Errno::emcollide};

bool is_well_formed(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot) {
    for (uint64_t number : {from, to, len})
        if (number % space.granule().bytes != 0) return false;
    if (static_cast<int64_t>(len) <= 0) return false;
    uint64_t rights = prot & ~(release_zfill | previous);
    return prot_from(rights) && !(prot & previous && rights != 0);
}

bool is_inside(const Space& space, uint64_t at, uint64_t len) {
    auto range = Range::make(Gpa{at}, Size{len});
    return range && space.aperture().contains(*range);
}

}  // namespace

Answer mremap(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot) {
    if (!is_well_formed(space, from, to, len, prot)) return fails(Errno::einval);
    if (!is_inside(space, from, len) || !is_inside(space, to, len)) return fails(Errno::emrange);
    request::Remap request{.source = Range::of(Gpa{from}, Size{len}), .new_size = Size{len}, .placement = {}};
    if (from != to) request.placement = {Placement::Where::fixed, Gpa{to}};
    if (!(prot & previous)) request.prot = Prot{static_cast<uint8_t>(prot & all_prot_bits)};
    if (prot & release_zfill) request.contents = Contents::zero;
    auto answer = planned(space, request, errors);
    if (answer) answer->result = Gpa{0};  // UTek's call returns no address
    return answer;
}

}  // namespace remap::utek
