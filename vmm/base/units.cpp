#include "vmm/base/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace gpremap {

namespace {

struct Unit {
    std::string_view name;
    uint64_t bytes;
};
constexpr std::array<Unit, 5> units{
    {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}}};

constexpr std::string_view too_large = "a size below 2^64 bytes";

tl::expected<uint64_t, std::string_view> parse_hexadecimal(std::string_view digits) {
    uint64_t number = 0;
    const char* const end_of_text = digits.data() + digits.size();
    const auto [end, error] = std::from_chars(digits.data(), end_of_text, number, 16);
    if (error == std::errc::result_out_of_range) return tl::unexpected(too_large);
    if (error != std::errc() || end != end_of_text) return tl::unexpected(size_hint);
    return number;
}

}  // namespace

tl::expected<uint64_t, std::string_view> parse_size(std::string_view text) {
    if (text.starts_with("0x")) return parse_hexadecimal(text.substr(2));
    uint64_t count = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error == std::errc::result_out_of_range) return tl::unexpected(too_large);
    if (error != std::errc()) return tl::unexpected(size_hint);

    std::string_view unit_name = text.substr(static_cast<size_t>(end - text.data()));
    if (unit_name.empty()) return count;
    if (unit_name.front() == ' ') unit_name.remove_prefix(1);
    auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == unit_name; });
    if (unit == units.end()) return tl::unexpected(size_hint);
    if (count > std::numeric_limits<uint64_t>::max() / unit->bytes) return tl::unexpected(too_large);
    return count * unit->bytes;
}

tl::expected<double, std::string_view> parse_seconds(std::string_view text) {
    constexpr std::string_view hint = "a time such as \"200ms\" (units: ns, us, ms, s, min)";
    constexpr std::array<std::pair<std::string_view, double>, 5> times{
        {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"min", 60}}};
    double count = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), count, std::chars_format::fixed);
    if (error != std::errc()) return tl::unexpected(hint);
    std::string_view name = text.substr(static_cast<size_t>(end - text.data()));
    if (name.starts_with(' ')) name.remove_prefix(1);
    for (const auto& [unit, seconds] : times)
        if (unit == name && count >= 0) return count * seconds;
    return tl::unexpected(hint);
}

std::string format_size(uint64_t bytes) {
    for (const Unit& unit : units) {
        if (bytes >= unit.bytes && bytes % unit.bytes == 0)
            return std::to_string(bytes / unit.bytes) + " " + std::string(unit.name);
    }
    return "0 B";
}

std::string format_address(uint64_t address) {
    return fmt::format("{:#x}", address);
}

std::string microseconds(uint64_t ns) {
    return fmt::format("{:.1f}", static_cast<double>(ns) / 1000);
}

}  // namespace gpremap
