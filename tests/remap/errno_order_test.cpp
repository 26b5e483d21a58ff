// Where several things are wrong with a call, the one that comes first in the order of docs/semantics.md is
// reported: every pair of defects of every call that can be had together.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "remap/linux.h"
#include "remap/native.h"
#include "remap/netbsd.h"
#include "remap/utek.h"

namespace remap {
namespace {

constexpr uint64_t page = 4096;
constexpr uint64_t base = uint64_t{4} << 30;
constexpr uint64_t aperture = 64 * page;

// A space and the arguments of one call on it. Three pages are mapped at its start; the source is the first
// two of them, the destination is vacant.
struct Scene {
    Space space{Range::of(Gpa{base}, Size{aperture}), kib4, FreshMemory::anon, {}};
    uint64_t at = base, len = 2 * page;
    uint64_t to = base + 10 * page, new_len = 2 * page;
    uint64_t prot = 3, flags = 0;

    Scene() { change(native::map(space, base, 3 * page, 3, 0)); }
    void change(const Answer& answer) {
        ASSERT_TRUE(answer) << name_of(answer.error());
        space = answer->after;
    }
    // Takes effect when everything else is as it is to be.
    void limit(std::function<void(Limits&)> set) { limits.push_back(std::move(set)); }
    void impose_limits() {
        Limits all = space.limits();
        for (const auto& set : limits) set(all);
        space.set_limits(all);
    }

    std::vector<std::function<void(Limits&)>> limits;
};

// What a defect changes, and what it needs as the good call has it.
enum Part : unsigned {
    at = 1,
    len = 2,
    to = 4,
    new_len = 8,
    prot = 16,
    flags = 32,
    source = 64,
    place = 128
};

struct Defect {
    std::string name;
    Errno error;
    unsigned changes;
    unsigned needs;
    std::function<void(Scene&)> apply;

    bool excludes(const Defect& other) const {
        return changes & (other.changes | other.needs) || needs & other.changes;
    }
};

struct Call {
    std::string name;
    std::function<Answer(const Scene&)> make;
    std::function<void(Scene&)> good;
    std::vector<Defect> defects;  // in the order in which they are reported
};

std::optional<Errno> outcome(const Call& call, const std::vector<const Defect*>& defects) {
    Scene scene;
    call.good(scene);
    // The last first: what is sealed could not be changed any more.
    for (auto defect = defects.rbegin(); defect != defects.rend(); ++defect) (*defect)->apply(scene);
    scene.impose_limits();
    auto answer = call.make(scene);
    return answer ? std::nullopt : std::optional(answer.error());
}

std::string text(std::optional<Errno> error) {
    return error ? std::string(name_of(*error)) : "success";
}

void expect_order(const Call& call) {
    ASSERT_EQ(text(outcome(call, {})), "success") << call.name;
    size_t pairs = 0;
    for (size_t i = 0; i < call.defects.size(); ++i) {
        const Defect& first = call.defects[i];
        EXPECT_EQ(text(outcome(call, {&first})), text(first.error)) << call.name << ": " << first.name;
        for (size_t j = i + 1; j < call.defects.size(); ++j) {
            const Defect& second = call.defects[j];
            if (first.excludes(second)) continue;
            ++pairs;
            EXPECT_EQ(text(outcome(call, {&first, &second})), text(first.error))
                << call.name << ": " << first.name << " and " << second.name;
        }
    }
    EXPECT_GT(pairs, 0u) << call.name;
}

// ---- defects that calls share ----

Defect unaligned(Errno error) {
    return {"source unaligned", error, at, 0, [](Scene& scene) { scene.at += 1; }};
}
Defect to_unaligned(Errno error) {
    return {"destination unaligned", error, to, 0, [](Scene& scene) { scene.to += 1; }};
}
Defect empty(Errno error) {
    return {"length zero", error, len, 0, [](Scene& scene) { scene.len = 0; }};
}
Defect odd(Errno error) {
    return {"length not a multiple", error, len, 0, [](Scene& scene) { scene.len += 1; }};
}
Defect unknown_flag(Errno error) {
    return {"unknown flag", error, flags, 0, [](Scene& scene) { scene.flags |= uint64_t{1} << 40; }};
}
Defect bad_prot(Errno error) {
    return {"unknown rights", error, prot, 0, [](Scene& scene) { scene.prot = 1 << 20; }};
}
Defect outside(Errno error) {
    return {"source outside", error, at, 0, [](Scene& scene) { scene.at = base + aperture; }};
}
Defect to_outside(Errno error) {
    return {"destination outside", error, to, 0, [](Scene& scene) { scene.to = base + 2 * aperture; }};
}
Defect wraps(Errno error) {
    return {"source wraps around", error, at, len, [](Scene& scene) { scene.at = 0 - page; }};
}
Defect not_mapped(Errno error) {
    return {"source not mapped", error, source, 0,
            [](Scene& scene) { scene.change(native::unmap(scene.space, base, 3 * page)); }};
}
Defect hole(Errno error) {
    return {"hole in the source", error, source, 0,
            [](Scene& scene) { scene.change(native::unmap(scene.space, base + page, page)); }};
}
void set(Scene& scene, native::Which which) {
    scene.change(native::set_attribute(scene.space, base, 2 * page, which, native::Value::on));
}
Defect sealed() {
    return {"sealed", Errno::eperm, 0, source, [](Scene& scene) { set(scene, native::Which::sealed); }};
}
Defect pinned() {
    return {"pinned", Errno::eagain, 0, source, [](Scene& scene) { set(scene, native::Which::pinned); }};
}
Defect over_lock_limit(Errno error) {
    return {"lock limit", error, 0, source, [](Scene& scene) {
                set(scene, native::Which::locked);
                scene.limit([&](Limits& limits) { limits.locked = scene.space.locked(); });
            }};
}
Defect occupied(Errno error) {
    return {"destination mapped", error, place, to,
            [](Scene& scene) { scene.change(native::map(scene.space, scene.to, page, 3, 0)); }};
}
Defect over_memory_limit() {
    return {"memory limit", Errno::enomem, 0, 0, [](Scene& scene) {
                scene.limit([&](Limits& limits) { limits.memory = scene.space.memory_used(); });
            }};
}
Defect over_extent_limit() {
    return {"extent limit", Errno::enomem, 0, 0,
            [](Scene& scene) { scene.limit([](Limits& limits) { limits.mappings = 0; }); }};
}
Defect no_room() {
    return {"no room", Errno::enomem, place, 0, [](Scene& scene) {
                for (uint64_t vacant = base + 4 * page; vacant < base + aperture; vacant += 2 * page)
                    scene.change(native::map(scene.space, vacant, page, 3, 0));
            }};
}

constexpr Errno einval = Errno::einval;

// ---- native ----

TEST(ErrnoOrder, NativeMap) {
    expect_order(
        {"map",
         [](const Scene& is) { return native::map(is.space, is.to, is.len, is.prot, is.flags); },
         [](Scene&) {},
         {to_unaligned(einval), empty(einval), odd(einval), bad_prot(einval), unknown_flag(einval),
          to_outside(Errno::erange), occupied(Errno::eexist), over_memory_limit(), over_extent_limit()}});
}

TEST(ErrnoOrder, NativeMove) {
    expect_order(
        {"move",
         [](const Scene& is) { return native::move(is.space, is.at, is.to, is.len, is.flags); },
         [](Scene&) {},
         {unaligned(einval), to_unaligned(einval), empty(einval), odd(einval), wraps(einval),
          unknown_flag(einval), outside(Errno::erange), to_outside(Errno::erange), not_mapped(Errno::efault),
          hole(Errno::efault), sealed(), pinned(), occupied(Errno::eexist), over_extent_limit()}});
}

// The third page is in the way, so the range has to move.
TEST(ErrnoOrder, NativeGrow) {
    Defect shorter{"new length below the old", einval, new_len, len,
                   [](Scene& scene) { scene.new_len = page; }};
    expect_order(
        {"grow",
         [](const Scene& is) { return native::grow(is.space, is.at, is.len, is.new_len, is.flags); },
         [](Scene& scene) {
             scene.new_len = 4 * page;
             scene.flags = native::flag::may_move;
         },
         {unaligned(einval), empty(einval), odd(einval), wraps(einval), shorter, unknown_flag(einval),
          outside(Errno::erange), not_mapped(Errno::efault), hole(Errno::efault), sealed(), pinned(),
          over_lock_limit(Errno::eagain), over_memory_limit(), over_extent_limit(), no_room()}});
}

std::vector<Defect> of_duplicates() {
    return {unaligned(einval),
            to_unaligned(einval),
            empty(einval),
            odd(einval),
            wraps(einval),
            bad_prot(einval),
            unknown_flag(einval),
            outside(Errno::erange),
            to_outside(Errno::erange),
            hole(Errno::efault),
            not_mapped(Errno::efault),
            sealed()};
}

TEST(ErrnoOrder, NativeAlias) {
    auto defects = of_duplicates();
    for (const Defect& later : {occupied(Errno::eexist), over_extent_limit()}) defects.push_back(later);
    expect_order(
        {"alias",
         [](const Scene& is) { return native::alias(is.space, is.at, is.to, is.len, is.prot, is.flags); },
         [](Scene&) {}, defects});
}

TEST(ErrnoOrder, NativeSnapshot) {
    auto defects = of_duplicates();
    for (const Defect& later : {pinned(), occupied(Errno::eexist), over_memory_limit(), over_extent_limit()})
        defects.push_back(later);
    expect_order(
        {"snapshot",
         [](const Scene& is) { return native::snapshot(is.space, is.at, is.to, is.len, is.prot, is.flags); },
         [](Scene&) {}, defects});
}

TEST(ErrnoOrder, NativeExchange) {
    Defect overlap{"the two overlap", einval, to, at | len, [](Scene& scene) { scene.to = base + page; }};
    Defect other_vacant{"the other not mapped", Errno::efault, place, to,
                        [](Scene& scene) { scene.change(native::unmap(scene.space, scene.to, page)); }};
    expect_order({"exchange",
                  [](const Scene& is) { return native::exchange(is.space, is.at, is.to, is.len); },
                  [](Scene& scene) { scene.change(native::map(scene.space, scene.to, 2 * page, 1, 0)); },
                  {unaligned(einval), to_unaligned(einval), empty(einval), odd(einval), wraps(einval),
                   overlap, outside(Errno::erange), to_outside(Errno::erange), not_mapped(Errno::efault),
                   hole(Errno::efault), other_vacant, sealed(), pinned()}});
}

std::vector<Defect> of_ranges() {
    return {
        unaligned(einval),         empty(einval),       odd(einval), wraps(einval), outside(Errno::erange),
        not_mapped(Errno::efault), hole(Errno::efault), sealed()};
}

TEST(ErrnoOrder, NativeChangesOfARange) {
    auto pinnable = of_ranges();
    pinnable.push_back(pinned());
    auto nothing = [](Scene&) {};
    expect_order(
        {"unmap", [](const Scene& is) { return native::unmap(is.space, is.at, is.len); }, nothing, pinnable});
    expect_order({"release", [](const Scene& is) { return native::release(is.space, is.at, is.len); },
                  nothing, pinnable});
    auto protectable = of_ranges();
    protectable.insert(protectable.begin(), bad_prot(einval));
    protectable.push_back(over_extent_limit());
    expect_order({"protect",
                  [](const Scene& is) { return native::protect(is.space, is.at, is.len, is.prot); },
                  [](Scene& scene) { scene.prot = 1; }, protectable});
    auto lockable = of_ranges();
    Defect limit{"lock limit", Errno::eagain, 0, 0,
                 [](Scene& scene) { scene.limit([](Limits& limits) { limits.locked = Size{page}; }); }};
    lockable.push_back(limit);
    lockable.push_back(over_extent_limit());
    expect_order({"lock",
                  [](const Scene& is) {
                      return native::set_attribute(is.space, is.at, is.len, native::Which::locked,
                                                   native::Value::on);
                  },
                  nothing, lockable});
}

// ---- the three systems ----

using namespace linux_calls;

// A move to a stated place that grows.
TEST(ErrnoOrder, LinuxMremap) {
    auto set_flags = [](uint64_t value) { return [=](Scene& scene) { scene.flags = value; }; };
    constexpr uint64_t all = mremap_maymove | mremap_fixed | mremap_dontunmap;
    Defect no_size{"new_size 0", einval, new_len, 0, [](Scene& scene) { scene.new_len = 0; }};
    Defect endless{"new_size beyond the space", einval, new_len, 0,
                   [](Scene& scene) { scene.new_len = aperture + page; }};
    Defect overlap{"overlap", einval, to, at | len, [](Scene& scene) { scene.to = base + page; }};
    Defect nothing_to_share{"old_size 0 of what is not shared", einval, len, source,
                            [](Scene& scene) { scene.len = 0; }};
    Defect crosses{"crosses mappings", Errno::efault, 0, source | len,
                   [](Scene& scene) { scene.change(native::protect(scene.space, base + page, page, 1)); }};
    Defect pin = pinned(), lock = over_lock_limit(Errno::eagain), memory = over_memory_limit();
    pin.needs |= len;  // a duplicate moves nothing
    lock.needs |= len;
    expect_order(
        {"mremap",
         [](const Scene& is) { return mremap(is.space, is.at, is.len, is.new_len, is.flags, is.to); },
         [](Scene& scene) {
             scene.new_len = 4 * page;
             scene.flags = mremap_maymove | mremap_fixed;
         },
         {unknown_flag(einval),
          unaligned(einval),
          no_size,
          endless,
          to_outside(einval),
          to_unaligned(einval),
          {"no MAYMOVE", einval, flags, 0, set_flags(mremap_fixed)},
          {"DONTUNMAP of another size", einval, flags, new_len, set_flags(all)},
          overlap,
          over_extent_limit(),
          not_mapped(Errno::efault),
          outside(Errno::efault),
          sealed(),
          pin,
          nothing_to_share,
          crosses,
          lock,
          memory}});
}

TEST(ErrnoOrder, NetbsdMremap) {
    Defect no_size{"new_size 0", einval, new_len, 0, [](Scene& scene) { scene.new_len = 0; }};
    Defect odd_size{"new_size not a multiple", einval, new_len, 0, [](Scene& scene) { scene.new_len += 1; }};
    Defect alignment{"bad alignment", einval, flags, 0,
                     [](Scene& scene) { scene.flags |= uint64_t{3} << netbsd::map_alignment_shift; }};
    Defect too_big{"overflows the address space", Errno::e2big, new_len | to, at, [](Scene& scene) {
                       scene.new_len = 0 - base;
                       scene.to = 0;
                   }};
    expect_order(
        {"netbsd mremap",
         [](const Scene& is) { return netbsd::mremap(is.space, is.at, is.len, is.to, is.new_len, is.flags); },
         [](Scene& scene) {
             scene.new_len = 4 * page;
             scene.flags = netbsd::map_fixed;
         },
         {unknown_flag(einval),
          unaligned(einval),
          to_unaligned(einval),
          empty(einval),
          odd(einval),
          no_size,
          odd_size,
          wraps(einval),
          alignment,
          too_big,
          outside(Errno::enoent),
          not_mapped(Errno::enoent),
          hole(Errno::enoent),
          sealed(),
          pinned(),
          to_outside(Errno::enomem),
          occupied(Errno::enomem),
          over_lock_limit(Errno::enomem),
          over_memory_limit(),
          over_extent_limit()}});
}

TEST(ErrnoOrder, UtekMremap) {
    Defect negative{"length negative", einval, len, 0, [](Scene& scene) { scene.len = 0 - page; }};
    expect_order(
        {"utek mremap",
         [](const Scene& is) { return utek::mremap(is.space, is.at, is.to, is.len, is.prot); },
         [](Scene&) {},
         {unaligned(einval), to_unaligned(einval), empty(einval), odd(einval), negative, bad_prot(einval),
          outside(Errno::emrange), to_outside(Errno::emrange), not_mapped(Errno::emrange),
          hole(Errno::emrange), sealed(), pinned(), occupied(Errno::emcollide), over_extent_limit()}});
}

}  // namespace
}  // namespace remap
