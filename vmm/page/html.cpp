#include "vmm/page/html.h"

#include <string_view>

#include "vmm/page/assets.h"

namespace gpremap {

namespace {

// Text that stands in a script element: no "</script>" ends it, and no "<!--" begins something else.
std::string json_in_html(const JsonObject& contents) {
    std::string text;
    for (char c : contents.dump(-1, ' ', false, JsonObject::error_handler_t::replace))
        if (c == '<')
            text += "\\u003c";
        else
            text += c;
    return text;
}

std::string escaped(const std::string& text) {
    std::string safe;
    for (char c : text) safe += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
    return safe;
}

// Nothing in `text` ends it.
std::string comment(std::string text, std::string_view more) {
    text += more;
    for (size_t at; (at = text.find("--")) != std::string::npos;) text.replace(at, 2, "- ");
    return "<!-- " + text + " -->\n";
}

std::string title_of(const JsonObject& contents) {
    const std::string question = contents.at("question");
    return question.empty() ? contents.at("title").get<std::string>() : question;
}

}  // namespace

// The policy has a browser refuse what the page must not do: load anything from anywhere.
std::string html_of(const JsonObject& contents) {
    const bool live = contents.at("live");
    std::string html = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:)";
    html += live ? "; connect-src 'self'" : "";
    html += R"(">
<link rel="icon" href="data:,">
<meta name="generator" content="gpremap )" GPREMAP_VERSION R"("><title>)";
    html += escaped(title_of(contents)) + "</title>\n<style>\n";
    html.append(asset_chart_css()).append(asset_page_css());
    html +=
        "</style></head><body><main>\n<noscript><p>This page draws itself with JavaScript. Without it: "
        "gpremap report "
        "--markdown, --svg.</p></noscript>\n</main>\n<script type=\"application/json\" id=\"contents\">";
    html += json_in_html(contents);
    html += "</script>\n" + comment("D3, by which this page draws its charts:\n", asset_d3_licence()) +
            "<script>";
    html.append(asset_d3()).append("\n</script>\n<script>");
    html.append(asset_charts_js()).append("</script>\n<script>").append(asset_page_js());
    html += "</script></body></html>\n";
    return html;
}

}  // namespace gpremap
