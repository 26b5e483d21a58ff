// Amounts as a reader of a page takes them in: three digits, and a unit that fits.
#pragma once

#include <string>
#include <string_view>

namespace gpremap {

std::string shown_ns(double ns);                                 // "1.23 ms"
std::string shown_rate(double per_second, std::string_view of);  // "6.21 GB/s" of "B"; "1.20 M/s" of ""
std::string shown_bytes(double bytes);                           // "256 MiB"
std::string shown_digits(double value);                          // "0.931"
std::string shown_ratio(double ratio);                           // "0.931 x"
std::string shown_count(double count);                           // "12,345", "1.23 M"

}  // namespace gpremap
