#include "remap/native.h"

namespace remap::native {
namespace {

constexpr CauseErrors errors{
    .not_mapped = Errno::efault, .lock_limit = Errno::eagain, .occupied = Errno::eexist};

// Collects the ranges of one call: all of them are checked for EINVAL before any is for ERANGE.
class Checked {
  public:
    explicit Checked(const Space& space) : space_(space) {}

    void range(uint64_t at, uint64_t len) {
        auto made = Range::make(Gpa{at}, Size{len});
        require(made && Gpa{at}.is_aligned(space_.granule()) && Size{len}.is_multiple_of(space_.granule()));
        if (made && !space_.aperture().contains(*made)) outside_ = true;
    }
    void require(bool well_formed) { well_formed_ = well_formed_ && well_formed; }

    std::optional<Errno> error() const {
        if (!well_formed_) return Errno::einval;
        if (outside_) return Errno::erange;
        return std::nullopt;
    }

  private:
    const Space& space_;
    bool well_formed_ = true;
    bool outside_ = false;
};

bool only(uint64_t flags, uint64_t allowed) {
    return (flags & ~allowed) == 0;
}

// `anywhere`, `hint` and `replace` exclude each other.
bool is_one_policy(uint64_t flags) {
    uint64_t policy = flags & (flag::anywhere | flag::hint | flag::replace);
    return (policy & (policy - 1)) == 0;
}

// Checks the destination of `len` bytes and decodes where it is to be. An address that the caller leaves
// open is not looked at; a hint is used when it can be, and is otherwise only required to be aligned.
Placement destination(Checked& checked, const Space& space, uint64_t at, uint64_t len, uint64_t flags) {
    checked.require(is_one_policy(flags));
    if (flags & flag::anywhere) return {Placement::Where::anywhere};
    if (flags & flag::hint) {
        checked.require(Gpa{at}.is_aligned(space.granule()));
        return {Placement::Where::hint, Gpa{at}};
    }
    checked.range(at, len);
    return {Placement::Where::fixed, Gpa{at}};
}

Occupied occupied(uint64_t flags) {
    return flags & flag::replace ? Occupied::replace : Occupied::refuse;
}

// The rights asked for; none asked for means each page keeps its own.
std::optional<Prot> rights(Checked& checked, uint64_t prot) {
    if (prot == prot_previous) return std::nullopt;
    auto decoded = prot_from(prot);
    checked.require(decoded.has_value());
    return decoded;
}

Range range_of(uint64_t at, uint64_t len) {
    return Range::of(Gpa{at}, Size{len});
}

}  // namespace

Answer map(const Space& space, uint64_t at, uint64_t len, uint64_t prot, uint64_t flags) {
    Checked checked(space);
    checked.require(only(flags, flag::anywhere | flag::hint | flag::replace | flag::shared));
    checked.require(len != 0 && Size{len}.is_multiple_of(space.granule()));
    checked.require(prot_from(prot).has_value());
    Placement where = destination(checked, space, at, len, flags);
    if (auto error = checked.error()) return fails(*error);
    request::Map request{Size{len}, where, occupied(flags), *prot_from(prot), {}};
    request.attributes.shared = flags & flag::shared;
    return planned(space, request, errors);
}

Answer unmap(const Space& space, uint64_t at, uint64_t len) {
    Checked checked(space);
    checked.range(at, len);
    if (auto error = checked.error()) return fails(*error);
    return planned(space, request::Unmap{range_of(at, len)}, errors);
}

Answer move(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t flags) {
    Checked checked(space);
    checked.require(only(flags, flag::anywhere | flag::hint | flag::replace | flag::keep_holes));
    checked.range(from, len);
    Placement where = destination(checked, space, to, len, flags);
    if (auto error = checked.error()) return fails(*error);
    request::Remap request{.source = range_of(from, len), .new_size = Size{len}, .placement = where};
    request.occupied = occupied(flags);
    if (flags & flag::keep_holes) request.holes = Holes::anywhere;
    return planned(space, request, errors);
}

Answer grow(const Space& space, uint64_t at, uint64_t len, uint64_t new_len, uint64_t flags) {
    Checked checked(space);
    checked.require(only(flags, flag::may_move));
    checked.range(at, len);
    bool may_move = flags & flag::may_move;
    if (may_move)
        checked.require(Size{new_len}.is_multiple_of(space.granule()) && Range::make(Gpa{at}, Size{new_len}));
    else
        checked.range(at, new_len);
    checked.require(new_len >= len);
    if (auto error = checked.error()) return fails(*error);
    request::Remap request{.source = range_of(at, len), .new_size = Size{new_len}, .placement = {}};
    request.placement.where = may_move ? Placement::Where::in_place_if_fits : Placement::Where::in_place;
    return planned(space, request, errors);
}

Answer shrink(const Space& space, uint64_t at, uint64_t len, uint64_t new_len) {
    Checked checked(space);
    checked.range(at, len);
    checked.range(at, new_len);
    checked.require(new_len <= len);
    if (auto error = checked.error()) return fails(*error);
    return planned(space,
                   request::Remap{.source = range_of(at, len), .new_size = Size{new_len}, .placement = {}},
                   errors);
}

Answer alias(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot, uint64_t flags) {
    Checked checked(space);
    checked.require(only(flags, flag::anywhere | flag::hint | flag::replace));
    checked.range(from, len);
    auto wanted = rights(checked, prot);
    Placement where = destination(checked, space, to, len, flags);
    if (auto error = checked.error()) return fails(*error);
    request::Remap request{.source = range_of(from, len), .new_size = Size{len}, .placement = where};
    request.occupied = occupied(flags);
    request.source_after = SourceAfter::same;
    request.prot = wanted;
    return planned(space, request, errors);
}

Answer snapshot(const Space& space, uint64_t from, uint64_t to, uint64_t len, uint64_t prot, uint64_t flags) {
    Checked checked(space);
    checked.require(only(flags, flag::anywhere | flag::hint | flag::replace));
    checked.range(from, len);
    auto wanted = rights(checked, prot);
    Placement where = destination(checked, space, to, len, flags);
    if (auto error = checked.error()) return fails(*error);
    return planned(space, request::Snapshot{range_of(from, len), where, occupied(flags), wanted}, errors);
}

Answer exchange(const Space& space, uint64_t a, uint64_t b, uint64_t len) {
    Checked checked(space);
    checked.range(a, len);
    checked.range(b, len);
    auto first = Range::make(Gpa{a}, Size{len}), second = Range::make(Gpa{b}, Size{len});
    checked.require(first && second && !first->overlaps(*second));
    if (auto error = checked.error()) return fails(*error);
    return planned(space, request::Exchange{*first, *second}, errors);
}

Answer protect(const Space& space, uint64_t at, uint64_t len, uint64_t prot) {
    Checked checked(space);
    checked.range(at, len);
    checked.require(prot_from(prot).has_value());
    if (auto error = checked.error()) return fails(*error);
    return planned(space, request::Protect{range_of(at, len), *prot_from(prot)}, errors);
}

Answer release(const Space& space, uint64_t at, uint64_t len) {
    Checked checked(space);
    checked.range(at, len);
    if (auto error = checked.error()) return fails(*error);
    return planned(space, request::Release{range_of(at, len)}, errors);
}

Answer set_attribute(const Space& space, uint64_t at, uint64_t len, Which which, Value value) {
    Checked checked(space);
    checked.range(at, len);
    if (auto error = checked.error()) return fails(*error);
    return planned(space, request::SetAttribute{range_of(at, len), which, value}, errors);
}

tl::expected<std::vector<Extent>, Errno> query(const Space& space, uint64_t at, uint64_t len) {
    Checked checked(space);
    checked.range(at, len);
    if (auto error = checked.error()) return fails(*error);
    return space.mappings_in(range_of(at, len));
}

}  // namespace remap::native
