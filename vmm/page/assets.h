// What pages are made of, as it was when this program was built.
#pragma once

#include <string_view>

namespace gpremap {

std::string_view asset_d3();  // the library D3
std::string_view asset_d3_licence();
std::string_view asset_charts_js();  // needs D3, and neither a document nor a window
std::string_view asset_page_js();    // needs both, and these
std::string_view asset_chart_css();  // for a chart that stands alone, too
std::string_view asset_page_css();

}  // namespace gpremap
