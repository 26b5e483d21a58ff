#include "vmm/calls/reading.h"

#include <fmt/format.h>

#include <set>

namespace gpremap {

namespace {

using Kind = Parameter::Kind;
using Role = Parameter::Role;
using Omitted = Parameter::Omitted;

Operand number(uint64_t value) {
    return {Operand::Kind::number, "", value, {}};
}

// What one argument means may hang on another: a flag says that no destination is stated, or that a stated
// one counts. So the values come first, in the order of the wire, and then what they mean together.
class CallReader {
  public:
    CallReader(const CallRow& row, const TomlTable& table, const Words& words)
        : row_(row), table_(table), words_(words) {}

    CallAction read() {
        only_known_keys();
        action_.number = row_.number;
        for (const Parameter& parameter : row_.parameters)
            if (parameter.kind != Kind::buffer) action_.args.push_back({parameter.label, read(parameter)});
        std::vector<uint64_t> values;
        for (const Argument& argument : action_.args) values.push_back(argument.value.offset);
        take_roles(row_.flags(values));
        return action_;
    }

  private:
    bool follows(const Parameter& parameter) const {
        return parameter.omitted == Omitted::follows && words_.names_ranges();
    }

    Keys keys_of(const Parameter& parameter) const {
        return parameter.keys.empty() || words_.names_ranges() ? parameter.keys : Keys{parameter.label};
    }

    bool has_offset() const {
        const Parameter* source = row_.find(Role::source);
        return words_.names_ranges() && source && source->keys.front() == "range";
    }

    bool may_define() const {
        return row_.effect == Effect::defines || row_.duplicates_from_nothing || row_.duplicates_with;
    }

    void only_known_keys() const {
        Keys known;
        for (const Parameter& parameter : row_.parameters) {
            const Keys keys = keys_of(parameter);
            known.insert(known.end(), keys.begin(), keys.end());
            if (parameter.role == Role::source && has_offset()) known.push_back("offset");
            if (parameter.has_flags) known.push_back("flags");
            for (const Switch& each : parameter.switches) known.push_back(each.key);
            if (parameter.field) known.push_back(parameter.field->key);
        }
        if (may_define() && words_.names_ranges()) known.push_back("name");
        table_.only(known);
    }

    bool has_destination() const {
        const Parameter* destination = row_.find(Role::destination);
        return destination && find_one(table_, keys_of(*destination));
    }

    Operand read(const Parameter& parameter) {
        switch (parameter.kind) {
            case Kind::address:
                return read_address(parameter);
            case Kind::size:
                return read_size(parameter);
            default:
                return number(read_bits(parameter));
        }
    }

    Operand read_address(const Parameter& parameter) {
        const Keys keys = keys_of(parameter);
        if (parameter.role == Role::source && has_offset()) return source_ = read_place(table_, keys);
        const auto value = find_one(table_, keys);
        if (!value && parameter.omitted == Omitted::otherwise) return number(parameter.otherwise);
        if (!value && follows(parameter)) return source_;  // in place
        if (!value) fail_missing(table_, keys, words_.address_hint());
        const Operand address = words_.address(*value);
        if (parameter.role == Role::source) source_ = address;
        return address;
    }

    Operand read_size(const Parameter& parameter) {
        const Keys keys = keys_of(parameter);
        Operand size;
        const auto value = find_one(table_, keys);
        const bool may_be_relative =
            parameter.role == Role::new_size && row_.resizes() && words_.names_ranges();
        if (const auto more = value && may_be_relative ? relative_size(*value) : std::nullopt) {
            size = resized(*value, *more);
        } else if (value) {
            size = words_.size(*value);
        } else if (!follows(parameter)) {
            fail_missing(table_, keys, words_.size_hint());
        } else {
            size = parameter.role == Role::new_size ? source_size_ : rest_of(source_, table_, keys);
        }
        if (parameter.role == Role::source_size) source_size_ = size;
        return size;
    }

    // The source's size and so much more, or less.
    Operand resized(const TomlValue& value, int64_t more) const {
        Operand size = source_size_;
        size.place = value.place();
        size.more = more;
        if (size.kind == Operand::Kind::size_of) return size;
        if (more < 0 && size.offset < 0 - static_cast<uint64_t>(more))
            value.fail("takes off more than the size that is stated");
        size.more = 0;
        size.offset += static_cast<uint64_t>(more);
        return size;
    }

    uint64_t read_bits(const Parameter& parameter) const {
        const auto listed = parameter.has_flags ? table_.find("flags") : std::nullopt;
        uint64_t bits = listed ? read_flags(*listed, parameter.words) : 0;
        if (parameter.kind == Kind::prot) bits |= read_prot_or(parameter, bits);
        if (parameter.kind == Kind::word) bits |= read_word(stated(parameter), parameter.words);
        if (parameter.kind == Kind::flags && !listed) bits |= parameter.otherwise;
        for (const Switch& each : parameter.switches) bits |= read_switch(each);
        if (parameter.field)
            if (const auto value = table_.find(parameter.field->key))
                bits |= value->integer_in(0, parameter.field->most) << parameter.field->shift;
        return parameter.kind == Kind::flags && !has_destination() ? bits | row_.without_destination : bits;
    }

    TomlValue stated(const Parameter& parameter) const {
        if (parameter.kind == Kind::word)
            return table_.at(parameter.label, names_of(std::span(parameter.words)));
        return table_.at(parameter.label, "a protection such as \"rw\"");
    }

    uint64_t read_prot_or(const Parameter& parameter, uint64_t flags) const {
        if (parameter.omitted == Omitted::refused || table_.has(parameter.label))
            return read_prot(stated(parameter));
        const bool needed = words_.names_ranges() && parameter.needed_without;
        if (needed && (flags & *parameter.needed_without) == 0)
            table_.fail("missing 'prot' (such as \"rw\"), or flags = [\"PREVIOUS\"] to keep each page's own");
        return parameter.otherwise;
    }

    uint64_t read_switch(const Switch& each) const {
        if (each.needs == Switch::Needs::destination && table_.has(each.key) && !has_destination())
            table_.find(each.key)->fail(fmt::format("a {} needs the address under '{}'", each.key,
                                                    row_.find(Role::destination)->label));
        return table_.boolean_or(each.key, false) ? each.bits : 0;
    }

    const Operand* argument(Role role) const {
        for (size_t i = 0; i < action_.args.size(); i++)
            if (row_.parameters[i].role == role) return &action_.args[i].value;
        return nullptr;
    }

    // What the arguments mean, beyond their values.
    void take_roles(uint64_t flags) {
        const Operand* source = argument(Role::source);
        const Operand* size = argument(Role::source_size);
        if (source && size) action_.source = Span{*source, *size};
        const Operand* new_size = argument(Role::new_size);
        action_.new_size = new_size ? *new_size : *size;
        const Operand* destination = argument(Role::destination);
        if (destination && holds(row_.heeds_destination_with, flags) &&
            (has_destination() || follows(*row_.find(Role::destination))))
            action_.destination = *destination;
        const bool duplicates =
            holds(row_.duplicates_with, flags) || (row_.duplicates_from_nothing && size->is_zero());
        take_effect(duplicates ? Effect::defines : row_.effect);
    }

    void take_effect(Effect effect) {
        const auto name = words_.names_ranges() ? table_.find("name") : std::nullopt;
        if (effect != Effect::defines) {
            if (name)
                name->fail("only a duplicate needs a name of its own; a range that moves keeps its name");
            action_.effect = effect;
        } else if (name) {
            action_.effect = Effect::defines;
            action_.name = read_name(*name);
        }
    }

    const CallRow& row_;
    const TomlTable& table_;
    const Words& words_;
    CallAction action_;
    Operand source_;
    Operand source_size_;
};

// In the order of the alphabet, as people look through a list.
template <typename Wanted>
std::string verbs_where(Wanted wanted) {
    std::set<std::string_view> verbs;
    for (const CallRow& row : catalogue())
        if (wanted(row)) verbs.insert(row.verb);
    return fmt::format("{}", fmt::join(verbs, ", "));
}

}  // namespace

CallAction read_call(const CallRow& row, const TomlValue& value, const Words& words) {
    return CallReader(row, value.table(), words).read();
}

CallAction read_native_call(const TomlTable& table, const Words& words) {
    const std::vector<TomlValue> values = table.values();
    if (values.size() != 1) table.fail("expected exactly one native call, such as { map = { ... } }");
    const CallRow* row = find_call(values[0].name());
    if (!row || !row->is_batchable())
        values[0].fail(fmt::format(
            "unknown native call: '{}' is not a native call that can stand here; known: {}", values[0].name(),
            verbs_where([](const CallRow& known) { return known.is_batchable(); })));
    return read_call(*row, values[0], words);
}

BatchAction read_batch(const TomlValue& value, const Words& words, size_t least, size_t most) {
    BatchAction batch;
    for (const TomlTable& entry : value.tables()) {
        if (entry.has("batch")) entry.fail("a batch cannot stand in a batch");
        batch.calls.push_back(read_native_call(entry, words));
    }
    if (batch.calls.size() < least || batch.calls.size() > most)
        value.fail(fmt::format("expected from {} to {} calls, got {}", least, most, batch.calls.size()));
    return batch;
}

std::string call_verbs() {
    return verbs_where([](const CallRow&) { return true; });
}

}  // namespace gpremap
