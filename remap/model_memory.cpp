#include "remap/model_memory.h"

#include <cassert>
#include <vector>

namespace remap {

void ModelMemory::apply(const Change& change) {
    std::visit([&](const auto& which) { carry_out(which); }, change);
}

std::optional<uint64_t> ModelMemory::read(Gpa at) const {
    const Page* page = find(at);
    if (!page) return std::nullopt;
    return contents(*page);
}

void ModelMemory::write(Gpa at, uint64_t value) {
    set_contents(mapped(granule_of(at)), value);
}

const ModelMemory::Page* ModelMemory::find(Gpa at) const {
    auto found = pages_.find(granule_of(at));
    return found == pages_.end() ? nullptr : &found->second;
}

bool ModelMemory::is_same(Gpa a, Gpa b) const {
    const Page *first = find(a), *second = find(b);
    assert(first && second);
    if (first == second) return true;
    return first->memory.kind == MemoryKind::object && first->memory == second->memory;
}

// ---- the changes ----

void ModelMemory::carry_out(const change::Map& map) {
    assert(map.memory.kind != MemoryKind::cow);
    visit_granules(map.range, [&](Gpa at, Size distance) {
        Page fresh{map.memory.advanced(distance), map.prot, {}};
        if (fresh.memory.kind == MemoryKind::anon) fresh.own = 0;
        if (fresh.memory.kind == MemoryKind::object) assert(object_at(fresh.memory.offset) == 0);
        map_vacant(at, fresh);
    });
}

void ModelMemory::carry_out(const change::View& view) {
    assert(view.memory.kind != MemoryKind::anon);
    visit_granules(view.range, [&](Gpa at, Size distance) {
        map_vacant(at, {view.memory.advanced(distance), view.prot, {}});
    });
}

void ModelMemory::carry_out(const change::Unmap& unmap) {
    visit_granules(unmap.range, [&](Gpa at, Size) {
        mapped(at);
        pages_.erase(at);
    });
}

void ModelMemory::carry_out(const change::Move& move) {
    std::vector<Page> moving;
    visit_granules(move.from, [&](Gpa at, Size) {
        moving.push_back(mapped(at));
        pages_.erase(at);
    });
    auto next = moving.begin();
    visit_granules(Range::of(move.to, move.from.size()), [&](Gpa at, Size) { map_vacant(at, *next++); });
}

void ModelMemory::carry_out(const change::Exchange& exchange) {
    assert(exchange.a.size() == exchange.b.size() && !exchange.a.overlaps(exchange.b));
    visit_granules(exchange.a, [&](Gpa at, Size distance) {
        std::swap(mapped(at), mapped(exchange.b.start().advanced(distance)));
    });
}

void ModelMemory::carry_out(const change::Protect& protect) {
    visit_granules(protect.range, [&](Gpa at, Size) { mapped(at).prot = protect.prot; });
}

void ModelMemory::carry_out(const change::Promote& promote) {
    visit_granules(promote.range, [&](Gpa at, Size distance) {
        Page& page = mapped(at);
        assert(page.memory.kind != MemoryKind::object);
        uint64_t kept = contents(page);
        page.memory = {MemoryKind::object, promote.offset.advanced(distance)};
        page.own.reset();
        assert(object_at(page.memory.offset) == 0);
        set_contents(page, kept);
    });
}

void ModelMemory::carry_out(const change::Privatize& privatize) {
    assert(privatize.memory.kind == MemoryKind::cow);
    visit_granules(privatize.range, [&](Gpa at, Size distance) {
        Page& page = mapped(at);
        Memory over = privatize.memory.advanced(distance);
        assert(page.memory.kind == MemoryKind::object && page.memory.offset == over.offset);
        page.memory = over;
        page.prot = privatize.prot;
    });
}

// What was written is copied, whoever sees the pages of the object.
void ModelMemory::carry_out(const change::Snapshot& snapshot) {
    assert(snapshot.memory.kind == MemoryKind::cow);
    visit_granules(snapshot.from, [&](Gpa at, Size distance) {
        const Page from = mapped(at);
        assert(from.memory == snapshot.memory.advanced(distance));
        map_vacant(snapshot.to.advanced(distance), {from.memory, snapshot.prot, from.own});
    });
}

void ModelMemory::carry_out(const change::Copy& copy) {
    visit_granules(copy.from, [&](Offset at, Size distance) {
        Page& to = mapped(copy.to.advanced(distance));
        assert(contents(to) == 0);
        set_contents(to, object_at(at));
    });
}

void ModelMemory::carry_out(const change::Populate& populate) {
    visit_granules(populate.range, [&](Gpa at, Size) {
        Page& page = mapped(at);
        set_contents(page, contents(page));
    });
}

void ModelMemory::carry_out(const change::Discard& discard) {
    visit_granules(discard.range, [&](Gpa at, Size) {
        Page& page = mapped(at);
        if (page.memory.kind == MemoryKind::anon) page.own = 0;
        if (page.memory.kind == MemoryKind::cow) page.own.reset();
    });
}

void ModelMemory::carry_out(const change::Free& free) {
    visit_granules(free.pages, [&](Offset at, Size) { object_.erase(at); });
}

// ---- one granule ----

template <class A, class Visit>
void ModelMemory::visit_granules(const BasicRange<A>& range, Visit&& visit) const {
    assert(range.start().is_aligned(granule_) && range.size().is_multiple_of(granule_));
    for (Size distance{0}; distance < range.size(); distance.bytes += granule_.bytes)
        visit(range.start().advanced(distance), distance);
}

ModelMemory::Page& ModelMemory::mapped(Gpa at) {
    auto found = pages_.find(at);
    assert(found != pages_.end());
    return found->second;
}

void ModelMemory::map_vacant(Gpa at, const Page& page) {
    [[maybe_unused]] bool vacant = pages_.emplace(at, page).second;
    assert(vacant);
}

uint64_t ModelMemory::contents(const Page& page) const {
    return page.own ? *page.own : object_at(page.memory.offset);
}

void ModelMemory::set_contents(Page& page, uint64_t value) {
    if (page.memory.kind != MemoryKind::object)
        page.own = value;
    else if (value != 0)
        object_[page.memory.offset] = value;
    else
        object_.erase(page.memory.offset);
}

uint64_t ModelMemory::object_at(Offset at) const {
    auto found = object_.find(at);
    return found == object_.end() ? 0 : found->second;
}

}  // namespace remap
