#include "tests/model/agreement.h"

#include <set>

namespace remap {
namespace {

std::string at_granule(const Space& space, Gpa at) {
    return " at granule " + std::to_string(at.above(space.aperture().start()).bytes / space.granule().bytes);
}

// Pages of the object that a private view stands on must not change: nobody may map them for writing.
std::string object_disagreement(const Space& space, const ModelMemory& memory) {
    std::set<Offset> mapped, under_private;
    for (const auto& [at, page] : memory.pages()) {
        if (page.memory.kind == MemoryKind::object) mapped.insert(page.memory.offset);
        if (page.memory.kind == MemoryKind::cow) under_private.insert(page.memory.offset);
    }
    for (Offset offset : under_private)
        if (mapped.contains(offset)) return "the object is written under a private view";
    for (const auto& [offset, value] : memory.object())
        if (space.store().views(offset) == 0) return "the object keeps a page that nobody maps";
    return "";
}

}  // namespace

std::string disagreement(const Space& space, const ModelMemory& memory) {
    auto page = memory.pages().begin(), end = memory.pages().end();
    for (const Extent& extent : space.extents_in(space.aperture())) {
        for (Size done{0}; done < extent.range.size(); done.bytes += space.granule().bytes, ++page) {
            Gpa at = extent.range.start().advanced(done);
            if (page == end || page->first != at) return "mapped otherwise" + at_granule(space, at);
            if (page->second.memory != extent.memory.advanced(done))
                return "other memory" + at_granule(space, at);
            if (page->second.prot != extent.prot) return "other rights" + at_granule(space, at);
        }
    }
    if (page != end) return "more is mapped" + at_granule(space, page->first);
    return object_disagreement(space, memory);
}

}  // namespace remap
