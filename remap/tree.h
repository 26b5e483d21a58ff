// An ordered set of disjoint ranges with something attached to each, as a value that is cheap to copy.
//
// A balanced (AVL) search tree of immutable nodes: a copy shares all nodes, a change rebuilds the
// O(log n) nodes on the path to it. That is what lets a plan carry the whole space after a call,
// and lets a call that fails simply drop it. Each node knows the widest gap below it, so that a
// free place is found in O(log n) too.
//
// `Entry` has a member `range` of type BasicRange<A>.
#pragma once

#include <algorithm>
#include <cassert>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "remap/range.h"

namespace remap {

template <class Entry, class A>
class Tree {
    struct Node;
    using Link = std::shared_ptr<const Node>;

  public:
    size_t size() const { return count(root_.get()); }

    // The entry that contains `at`, or null. Valid as long as this tree or a copy of it.
    const Entry* find(A at) const {
        const Entry* entry = first_ending_after(at);
        return entry && entry->range.contains(at) ? entry : nullptr;
    }

    // The first entry with an end above `at`: the one that contains it, or the next one.
    const Entry* first_ending_after(A at) const {
        const Entry* best = nullptr;
        for (const Node* node = root_.get(); node;) {
            if (node->entry.range.end() > at) {
                best = &node->entry;
                node = node->left.get();
            } else {
                node = node->right.get();
            }
        }
        return best;
    }

    // The last entry that starts below `at`.
    const Entry* last_starting_before(A at) const {
        const Entry* best = nullptr;
        for (const Node* node = root_.get(); node;) {
            if (node->entry.range.start() < at) {
                best = &node->entry;
                node = node->right.get();
            } else {
                node = node->left.get();
            }
        }
        return best;
    }

    // Calls visit(entry) for each entry that overlaps `range`, in order, until it returns false.
    template <class Visit>
    void visit_overlapping(const BasicRange<A>& range, Visit&& visit) const {
        visit_from(root_.get(), range, visit);
    }

    // The entry's range must be free.
    void insert(Entry entry) {
        auto [below, above] = split(root_, entry.range.start());
        root_ = join(below, std::move(entry), above);
    }

    // Removes the entries that start in `range`; none may straddle its ends.
    void erase_starting_in(const BasicRange<A>& range) {
        auto [below, rest] = split(root_, range.start());
        auto [inside, above] = split(rest, range.end());
        root_ = join(below, above);
    }

    // A free address in `within` at which `size` bytes fit and which is congruent to `phase` modulo
    // `modulus`: the lowest; or, behind `patience` gaps that are wide enough and have no such address, the
    // lowest in a gap that has one wherever it begins, as long as there is any. That is what keeps the search
    // O(log n).
    std::optional<A> lowest_gap(const BasicRange<A>& within, Size size, Size modulus, uint64_t phase) const {
        GapSearch search{size, modulus, phase % modulus.bytes, within.start(), within.end(), patience};
        if (auto found = search.in(root_.get()); found || search.patience > 0) return found;
        if (auto found = sure_gap(within, search)) return found;
        return GapSearch{size, modulus, search.phase, within.start(), within.end(), UINT64_MAX}.in(
            root_.get());
    }

    static constexpr uint64_t patience = 64;

  private:
    struct Node {
        Entry entry;
        Link left, right;
        int height;
        size_t count;
        A first_start, last_end;
        Size widest_gap;  // between two neighbours in this subtree
    };

    static int height(const Link& link) { return link ? link->height : 0; }
    static size_t count(const Node* node) { return node ? node->count : 0; }

    static Link make(Link left, Entry entry, Link right) {
        A first = left ? left->first_start : entry.range.start();
        A last = right ? right->last_end : entry.range.end();
        Size gap{0};
        if (left) gap = std::max({gap, left->widest_gap, entry.range.start().above(left->last_end)});
        if (right) gap = std::max({gap, right->widest_gap, right->first_start.above(entry.range.end())});
        int tall = std::max(height(left), height(right)) + 1;
        size_t entries = count(left.get()) + count(right.get()) + 1;
        return std::make_shared<const Node>(
            Node{std::move(entry), std::move(left), std::move(right), tall, entries, first, last, gap});
    }

    // make() where the heights may differ by up to three.
    static Link balance(const Link& left, const Entry& entry, const Link& right) {
        if (height(left) > height(right) + 2) {
            if (height(left->left) >= height(left->right))
                return make(left->left, left->entry, make(left->right, entry, right));
            const Link& middle = left->right;
            return make(make(left->left, left->entry, middle->left), middle->entry,
                        make(middle->right, entry, right));
        }
        if (height(right) > height(left) + 2) {
            if (height(right->right) >= height(right->left))
                return make(make(left, entry, right->left), right->entry, right->right);
            const Link& middle = right->left;
            return make(make(left, entry, middle->left), middle->entry,
                        make(middle->right, right->entry, right->right));
        }
        return make(left, entry, right);
    }

    // All of `left` is below `entry`, all of `right` above; any heights.
    static Link join(const Link& left, Entry entry, const Link& right) {
        if (height(left) > height(right) + 2)
            return balance(left->left, left->entry, join(left->right, std::move(entry), right));
        if (height(right) > height(left) + 2)
            return balance(join(left, std::move(entry), right->left), right->entry, right->right);
        return make(left, std::move(entry), right);
    }

    static Link join(const Link& left, const Link& right) {
        if (!left) return right;
        if (!right) return left;
        const Node* first = right.get();
        while (first->left) first = first->left.get();
        return join(left, first->entry, without_first(right));
    }

    static Link without_first(const Link& link) {
        if (!link->left) return link->right;
        return balance(without_first(link->left), link->entry, link->right);
    }

    // The entries that start below `at`, and the others.
    static std::pair<Link, Link> split(const Link& link, A at) {
        if (!link) return {};
        if (link->entry.range.start() < at) {
            auto [below, above] = split(link->right, at);
            return {join(link->left, link->entry, below), above};
        }
        auto [below, above] = split(link->left, at);
        return {below, join(above, link->entry, link->right)};
    }

    template <class Visit>
    static bool visit_from(const Node* node, const BasicRange<A>& range, Visit& visit) {
        if (!node || node->last_end <= range.start() || node->first_start >= range.end()) return true;
        if (!visit_from(node->left.get(), range, visit)) return false;
        if (node->entry.range.overlaps(range) && !visit(node->entry)) return false;
        return visit_from(node->right.get(), range, visit);
    }

    // Walks the gaps in order; `cursor` is the end of what has been passed.
    struct GapSearch {
        Size size, modulus;
        uint64_t phase;
        A cursor, limit;
        uint64_t patience;  // how many more gaps may be wide enough in vain; at 0 the search is over

        std::optional<A> in(const Node* root) {
            if (auto found = below(root)) return found;
            return fit_until(limit);
        }

        std::optional<A> congruent_from(A at) const {
            return at.checked_add(Size{(phase + modulus.bytes - at.value % modulus.bytes) % modulus.bytes});
        }

        // A fit between the cursor and `end`.
        std::optional<A> fit_until(A end) {
            end = std::min(end, limit);
            if (patience == 0 || cursor > end || end.above(cursor) < size) return std::nullopt;
            auto at = congruent_from(cursor);
            if (at && *at <= end && end.above(*at) >= size) return at;
            --patience;
            return std::nullopt;
        }

        // A fit before or between the entries of the subtree; leaves the cursor behind them.
        std::optional<A> below(const Node* node) {
            if (!node || node->last_end <= cursor || patience == 0) return std::nullopt;
            if (node->first_start >= limit) return fit_until(limit);
            bool wide_inside = node->widest_gap >= size;
            if (!wide_inside && node->first_start >= cursor) {
                auto found = fit_until(node->first_start);
                cursor = std::max(cursor, node->last_end);
                return found;
            }
            if (auto found = below(node->left.get())) return found;
            if (node->entry.range.start() >= cursor)
                if (auto found = fit_until(node->entry.range.start())) return found;
            cursor = std::max(cursor, node->entry.range.end());
            return below(node->right.get());
        }
    };

    // In a gap that is as much wider as it takes.
    std::optional<A> sure_gap(const BasicRange<A>& within, const GapSearch& wanted) const {
        if (wanted.size.bytes > UINT64_MAX - wanted.modulus.bytes) return std::nullopt;
        Size width{wanted.size.bytes + wanted.modulus.bytes - 1};
        auto found = GapSearch{width, Size{1}, 0, within.start(), within.end(), UINT64_MAX}.in(root_.get());
        return found ? wanted.congruent_from(*found) : std::nullopt;
    }

    Link root_;
};

}  // namespace remap
