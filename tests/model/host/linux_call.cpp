#include "tests/model/host/linux_call.h"

#include <array>

namespace host_oracle {
namespace {

using namespace remap::linux_calls;
using Kind = LinuxCall::Kind;

// Sizes that end, or wrap around, beyond everything. The first two do not wrap: the kernel would take them
// for the rest of this process where a call may go over holes.
constexpr std::array<uint64_t, 7> beyond_everything = {beyond,
                                                       uint64_t{1} << 63,
                                                       UINT64_MAX - 2 * page + 1,
                                                       UINT64_MAX - page + 1,
                                                       UINT64_MAX - page + 2,
                                                       UINT64_MAX - 1,
                                                       UINT64_MAX};
constexpr size_t wrapping_from = 2;

// Draws arguments for calls on one state of the window.
class Draw {
  public:
    Draw(std::mt19937_64& random, const remap::Space& space)
        : random_(random), space_(space), base_(space.aperture().start().value) {}

    LinuxCall call() {
        uint64_t which = below(100);
        if (which < 50) return mremap();
        if (which < 68) return mmap();
        if (which < 74) return with_range({Kind::munmap});
        if (which < 83) return mprotect();
        if (which < 87) return madvise();
        if (which < 89) return with_range({Kind::mlock});
        if (which < 91) return with_range({Kind::munlock});
        if (which < 92) return with_range({Kind::mseal});
        return {.kind = Kind::store, .at = mapped_page()};
    }

  private:
    uint64_t below(uint64_t end) { return random_() % end; }
    bool chance(uint64_t percent) { return below(100) < percent; }

    uint64_t any_page() { return below(window_pages) * page; }

    // A page where something is mapped, if anything is.
    uint64_t mapped_page() {
        auto runs = space_.extents_in(space_.aperture());
        if (runs.empty()) return any_page();
        const remap::Extent& extent = runs[below(runs.size())];
        uint64_t start = extent.range.start().value - base_;
        return chance(60) ? start : start + below(extent.range.size().bytes / page) * page;
    }

    // From `at` to the end of what is mapped there, of one mapping or of several.
    uint64_t to_an_end(uint64_t at) {
        if (!space_.find(remap::Gpa{base_ + at})) return page;
        uint64_t end = space_.mapping_of(remap::Gpa{base_ + at}).end().value - base_;
        while (chance(35) && space_.find(remap::Gpa{base_ + end}))
            end = space_.mapping_of(remap::Gpa{base_ + end}).end().value - base_;
        return std::min(end - at, largest_pages * page);
    }

    // The part of `size` bytes from `at` on before the first hole.
    uint64_t covered(uint64_t at, uint64_t size) {
        auto range =
            remap::Range::of(remap::Gpa{base_ + at}, remap::Size{remap::round_up(size, remap::kib4)});
        auto runs = space_.runs_in(range);
        bool is_whole = runs.empty() || runs.front().start() != range.start() || runs.front() == range;
        return is_whole ? size : runs.front().size().bytes;
    }

    // Mostly whole pages; now and then a few bytes more or less.
    uint64_t roughly(uint64_t size) {
        if (!chance(6)) return size;
        return chance(50) ? size - below(page) : size + below(page);
    }

    uint64_t size(uint64_t at) { return roughly(chance(55) ? to_an_end(at) : (1 + below(8)) * page); }
    uint64_t huge() { return beyond_everything[below(beyond_everything.size())]; }

    uint64_t wrapping() {
        return beyond_everything[wrapping_from + below(beyond_everything.size() - wrapping_from)];
    }

    uint64_t address(uint64_t likely) {
        if (chance(2)) return likely + 1 + below(page - 1);
        if (chance(1)) return huge() / page * page - base_;
        return likely;
    }

    LinuxCall mremap() {
        LinuxCall call{Kind::mremap};
        call.at = address(chance(85) ? mapped_page() : any_page());
        call.len = chance(3) ? huge() : chance(6) ? 0 : size(call.at / page * page);
        call.new_len = chance(45) && call.len < beyond ? call.len : roughly((1 + below(8)) * page);
        if (chance(3)) call.new_len = chance(50) ? 0 : huge();
        call.flags = mremap_flags();
        if (!(call.flags & (mremap_fixed | mremap_dontunmap))) return call;
        call.to = address(chance(50) ? any_page() : mapped_page());
        // A hint of 0 is none, wherever the window is.
        if (!(call.flags & mremap_fixed) && chance(10)) call.to = 0 - base_;
        return call;
    }

    uint64_t mremap_flags() {
        uint64_t which = below(100);
        if (which < 30) return mremap_maymove;
        if (which < 65) return mremap_maymove | mremap_fixed;
        if (which < 77) return 0;
        if (which < 85) return mremap_maymove | mremap_dontunmap;
        if (which < 93) return mremap_maymove | mremap_fixed | mremap_dontunmap;
        if (which < 98) return below(8);
        return uint64_t{1} << below(64);
    }

    LinuxCall mmap() {
        LinuxCall call{Kind::mmap};
        call.at = address(any_page());
        call.len = chance(2) ? huge() : chance(1) ? 0 : roughly((1 + below(6)) * page);
        call.flags = map_anonymous | (chance(65) ? map_private : map_shared);
        call.flags |= chance(80) ? map_fixed : map_fixed_noreplace;
        call.prot = rights();
        return call;
    }

    uint64_t rights() {
        constexpr std::array<uint64_t, 8> likely = {3, 3, 3, 1, 1, 0, 5, 7};
        return likely[below(likely.size())];
    }

    LinuxCall with_range(LinuxCall call) {
        call.at = address(chance(80) ? mapped_page() : any_page());
        if (call.kind != Kind::munmap && chance(85)) {
            // Not over a hole, where Linux stops half-way and the sequence ends.
            call.at = mapped_page();
            call.len = covered(call.at, size(call.at));
            return call;
        }
        call.len = chance(2) ? wrapping() : chance(2) ? 0 : size(call.at / page * page);
        return call;
    }

    LinuxCall mprotect() {
        LinuxCall call = with_range({Kind::mprotect});
        call.prot = chance(2) ? 16 : rights();
        return call;
    }

    LinuxCall madvise() {
        LinuxCall call = with_range({Kind::madvise});
        call.flags = chance(70) ? madv_dontneed : chance(50) ? madv_remove : madv_populate_write;
        return call;
    }

    std::mt19937_64& random_;
    const remap::Space& space_;
    uint64_t base_;
};

std::string pages_and_bytes(uint64_t bytes) {
    std::string text = "\"" + std::to_string(bytes / page) + "P";
    if (bytes % page) text += "+" + std::to_string(bytes % page) + "B";
    return text + "\"";
}

std::string mremap_flags_text(uint64_t flags) {
    if (flags & ~uint64_t{7}) return std::to_string(flags);
    std::string names;
    auto add = [&](uint64_t flag, const char* name) {
        if (flags & flag) names += (names.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    };
    add(mremap_maymove, "MAYMOVE");
    add(mremap_fixed, "FIXED");
    add(mremap_dontunmap, "DONTUNMAP");
    return "[" + names + "]";
}

}  // namespace

std::string address_text(uint64_t relative) {
    if (relative % page == 0 && relative < aperture_pages * page) return std::to_string(relative / page);
    if (relative < aperture_pages * page) return pages_and_bytes(relative);
    return "\"window + " + std::to_string(relative) + "\"";
}

std::string size_text(uint64_t size) {
    if (size == UINT64_MAX) return "\"max\"";
    if (size % page == 0) return std::to_string(size / page);
    return size < page ? "\"" + std::to_string(size) + "B\"" : pages_and_bytes(size);
}

std::string text(const LinuxCall& call) {
    constexpr std::array names = {"linux", "mmap",    "munmap", "mprotect", "madvise",
                                  "mlock", "munlock", "mseal",  "store"};
    std::string arguments;
    auto add = [&](const char* name, const std::string& value) {
        arguments += (arguments.empty() ? "" : ", ") + std::string(name) + " = " + value;
    };
    bool is_mremap = call.kind == Kind::mremap;
    add(is_mremap ? "old" : "at", address_text(call.at));
    if (call.kind != Kind::store) add(is_mremap ? "old_size" : "len", size_text(call.len));
    if (is_mremap) add("new_size", size_text(call.new_len));
    if (call.kind == Kind::mmap || call.kind == Kind::mprotect) add("prot", std::to_string(call.prot));
    if (is_mremap) add("flags", mremap_flags_text(call.flags));
    if (call.kind == Kind::mmap) add("flags", std::to_string(call.flags));
    if (call.kind == Kind::madvise) add("advice", std::to_string(call.flags));
    if (is_mremap && call.flags & (mremap_fixed | mremap_dontunmap)) add("new", address_text(call.to));
    return "{ " + std::string(names[static_cast<size_t>(call.kind)]) + " = { " + arguments + " } }";
}

LinuxCall random_call(std::mt19937_64& random, const remap::Space& space) {
    return Draw(random, space).call();
}

}  // namespace host_oracle
