#include "vmm/cases/words.h"

#include <fmt/format.h>

#include <charconv>

#include "vmm/base/units.h"

namespace gpremap {

namespace {

using Wide = __int128;  // holds every sum of terms
constexpr Wide two_to_64 = Wide(1) << 64;

bool is_below_2_64(Wide bytes) {
    return -two_to_64 < bytes && bytes < two_to_64;
}

// As written.
struct Sum {
    Wide granules = 0;
    Wide bytes = 0;
};

// The terms of "1P+1B" or "-2P": signed counts of granules (P) and bytes (B), from the first character to the
// last. The first may stand without a sign where `first_sign` is optional.
enum class FirstSign { optional, required };

std::optional<Sum> parse_terms(std::string_view text, FirstSign first_sign) {
    Sum sum;
    bool signed_term = first_sign == FirstSign::required;
    if (text.empty() && !signed_term) return std::nullopt;
    while (!text.empty()) {
        const bool negative = text.front() == '-';
        if (negative || text.front() == '+')
            text.remove_prefix(1);
        else if (signed_term)
            return std::nullopt;
        signed_term = true;
        uint64_t count = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (error != std::errc()) return std::nullopt;
        text.remove_prefix(static_cast<size_t>(end - text.data()));
        if (text.empty() || (text.front() != 'P' && text.front() != 'B')) return std::nullopt;
        Wide& unit = text.front() == 'P' ? sum.granules : sum.bytes;
        unit += negative ? -Wide(count) : Wide(count);
        text.remove_prefix(1);
    }
    return sum;
}

std::optional<uint64_t> parse_absolute(std::string_view digits) {
    const bool hexadecimal = digits.starts_with("0x");
    if (hexadecimal) digits.remove_prefix(2);
    uint64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::optional<Operand> operand_of(std::string_view origin, const std::optional<Sum>& sum,
                                  const TomlValue& value, uint64_t granule) {
    if (!sum) return std::nullopt;
    const Wide granules = sum->granules * granule;
    if (!is_below_2_64(granules) || !is_below_2_64(sum->bytes) || !is_below_2_64(granules + sum->bytes))
        value.expected(fmt::format("fewer than 2^64 bytes, which are {} granules of {}",
                                   static_cast<uint64_t>(two_to_64 / granule), format_size(granule)));
    const auto kind = origin.empty() ? Operand::Kind::number : Operand::Kind::address_of;
    return Operand{kind, std::string(origin), static_cast<uint64_t>(sum->bytes), value.place(),
                   static_cast<int64_t>(sum->granules)};
}

std::optional<Operand> absolute(std::optional<uint64_t> bytes, const TomlValue& value) {
    if (!bytes) return std::nullopt;
    return Operand{Operand::Kind::number, "", *bytes, value.place()};
}

std::optional<Operand> parse_address(const TomlValue& value, uint64_t granule) {
    if (value.is_integer()) return operand_of(window_name, Sum{value.integer(), 0}, value, granule);
    const std::string text = value.is_text() ? value.text() : "";
    const std::string_view view = text;
    if (view.starts_with("gpa:")) return absolute(parse_absolute(view.substr(4)), value);
    if (view.starts_with("end"))
        return operand_of(aperture_end_name, parse_terms(view.substr(3), FirstSign::required), value,
                          granule);
    return operand_of(window_name, parse_terms(view, FirstSign::optional), value, granule);
}

std::optional<Operand> parse_size(const TomlValue& value, uint64_t granule) {
    if (value.is_integer()) return operand_of("", Sum{value.integer(), 0}, value, granule);
    const std::string text = value.is_text() ? value.text() : "";
    if (text == "max") return absolute(~0ull, value);
    if (text.starts_with("0x")) return absolute(parse_absolute(text), value);
    return operand_of("", parse_terms(text, FirstSign::optional), value, granule);
}

}  // namespace

std::string_view CaseWords::address_hint() const {
    return "an address: a granule index, or a text such as \"1P+1B\", \"-1B\", \"gpa:0x1000\", \"end-2P\"";
}

std::string_view CaseWords::size_hint() const {
    return "a size: a number of granules, or a text such as \"1P+1B\", \"-4096B\", \"0x1000\", \"max\"";
}

Operand CaseWords::address(const TomlValue& value) const {
    const auto address = parse_address(value, granule_);
    if (!address) value.expected(address_hint());
    return *address;
}

Operand CaseWords::size(const TomlValue& value) const {
    const auto size = parse_size(value, granule_);
    if (!size) value.expected(size_hint());
    return *size;
}

bool fits(const Operand& operand, uint64_t granule) {
    return is_below_2_64(Wide(operand.granules) * granule);
}

}  // namespace gpremap
