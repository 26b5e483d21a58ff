#include "vmm/page/amounts.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>

#include "vmm/base/units.h"

namespace gpremap {

std::string shown_digits(double value) {
    const double size = std::abs(value);
    if (size < 0.1 && size > 0) return fmt::format("{:.2g}", value);
    if (size >= 100 || size == 0) return fmt::format("{:.0f}", value);
    return fmt::format("{:.{}f}", value, size >= 10 ? 1 : size >= 0.9995 ? 2 : 3);
}

namespace {

std::string scaled(double value, std::string_view unit) {
    constexpr std::string_view prefixes[] = {"", "k", "M", "G", "T", "P"};
    size_t prefix = 0;
    for (; std::abs(value) >= 999.5 && prefix + 1 < std::size(prefixes); prefix++) value /= 1000;
    return fmt::format("{} {}{}", shown_digits(value), prefixes[prefix], unit);
}

}  // namespace

std::string shown_ns(double ns) {
    constexpr std::string_view units[] = {"ns", "us", "ms"};
    size_t unit = 0;
    for (; std::abs(ns) >= 999.5 && unit < std::size(units); unit++) ns /= 1000;
    return fmt::format("{} {}", shown_digits(ns), unit < std::size(units) ? units[unit] : "s");
}

std::string shown_rate(double per_second, std::string_view of) {
    std::string text = scaled(per_second, of);
    if (text.back() == ' ') text.pop_back();
    return text + "/s";
}

std::string shown_bytes(double bytes) {
    return format_size(static_cast<uint64_t>(std::fmin(std::fmax(bytes, 0), 1e19)));
}

std::string shown_ratio(double ratio) {
    return shown_digits(ratio) + " x";
}

std::string shown_count(double count) {
    if (std::abs(count) >= 1e6) return scaled(count, "");
    std::string text = fmt::format("{:.0f}", count);
    if (text.size() > 3 && text.front() != '-') text.insert(text.size() - 3, ",");
    return text;
}

}  // namespace gpremap
