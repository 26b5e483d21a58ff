// Simulated memory: carries out the changes of plans with one value in place of the contents of a granule.
//
// What is mapped where is kept from the changes alone, not from any Space, so that the two can be compared.
// A change that plan.h does not allow on what is mapped (a Map onto something, a Move out of a hole) asserts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "remap/plan.h"

namespace remap {

class ModelMemory {
  public:
    struct Page {
        Memory memory;
        Prot prot;
        // Anonymous contents, or the private copy of a cow page that was written.
        std::optional<uint64_t> own;

        friend bool operator==(const Page&, const Page&) = default;
    };

    explicit ModelMemory(Size granule) : granule_(granule) {}

    void apply(const Change& change);

    // What the granule at `at` holds (0 until written), or nothing where none is mapped. Protection is
    // not looked at, nor by write(), whose granule must be mapped.
    std::optional<uint64_t> read(Gpa at) const;
    void write(Gpa at, uint64_t value);

    // The granule at `at`, or null.
    const Page* find(Gpa at) const;
    const std::map<Gpa, Page>& pages() const { return pages_; }
    // What the object holds that is not 0, mapped or not.
    const std::map<Offset, uint64_t>& object() const { return object_; }

    // Whether a write through either is read through the other. Both must be mapped.
    bool is_same(Gpa a, Gpa b) const;

  private:
    void carry_out(const change::Map& map);
    void carry_out(const change::View& view);
    void carry_out(const change::Unmap& unmap);
    void carry_out(const change::Move& move);
    void carry_out(const change::Exchange& exchange);
    void carry_out(const change::Protect& protect);
    void carry_out(const change::Promote& promote);
    void carry_out(const change::Privatize& privatize);
    void carry_out(const change::Snapshot& snapshot);
    void carry_out(const change::Copy& copy);
    void carry_out(const change::Populate& populate);
    void carry_out(const change::Discard& discard);
    void carry_out(const change::Free& free);

    // Calls visit(address, distance from the start) for each granule.
    template <class A, class Visit>
    void visit_granules(const BasicRange<A>& range, Visit&& visit) const;
    Gpa granule_of(Gpa at) const { return Gpa{at.value / granule_.bytes * granule_.bytes}; }
    Page& mapped(Gpa at);
    void map_vacant(Gpa at, const Page& page);
    uint64_t contents(const Page& page) const;
    void set_contents(Page& page, uint64_t value);
    uint64_t object_at(Offset at) const;

    Size granule_;
    std::map<Gpa, Page> pages_;
    std::map<Offset, uint64_t> object_;
};

}  // namespace remap
