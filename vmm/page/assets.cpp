#include "vmm/page/assets.h"

extern "C" {
extern const char gpremap_asset_d3[], gpremap_asset_d3_end[];
extern const char gpremap_asset_d3_licence[], gpremap_asset_d3_licence_end[];
extern const char gpremap_asset_charts_js[], gpremap_asset_charts_js_end[];
extern const char gpremap_asset_page_js[], gpremap_asset_page_js_end[];
extern const char gpremap_asset_chart_css[], gpremap_asset_chart_css_end[];
extern const char gpremap_asset_page_css[], gpremap_asset_page_css_end[];
}

namespace gpremap {

std::string_view asset_d3() {
    return {gpremap_asset_d3, gpremap_asset_d3_end};
}

std::string_view asset_d3_licence() {
    return {gpremap_asset_d3_licence, gpremap_asset_d3_licence_end};
}

std::string_view asset_charts_js() {
    return {gpremap_asset_charts_js, gpremap_asset_charts_js_end};
}

std::string_view asset_page_js() {
    return {gpremap_asset_page_js, gpremap_asset_page_js_end};
}

std::string_view asset_chart_css() {
    return {gpremap_asset_chart_css, gpremap_asset_chart_css_end};
}

std::string_view asset_page_css() {
    return {gpremap_asset_page_css, gpremap_asset_page_css_end};
}

}  // namespace gpremap
