#include "vmm/page/header.h"

#include <sstream>
#include <string_view>

namespace gpremap {

namespace {

constexpr std::string_view indented = "    ";

// "Question (somebody's): what?" -> "what? (somebody's)"; nothing is lost but the word.
bool begins_with(std::string_view line, std::string_view word, std::string& rest) {
    if (!line.starts_with(word)) return false;
    const size_t colon = line.find(": ");
    if (colon == std::string_view::npos) return false;
    rest = line.substr(colon + 2);
    return true;
}

void append(std::string& text, std::string_view line) {
    if (!text.empty()) text += ' ';
    text += line;
}

}  // namespace

ScenarioHeader header_of(const std::string& scenario) {
    ScenarioHeader header;
    std::istringstream lines(scenario);
    std::string* part = nullptr;  // that the line goes on with
    for (std::string line; std::getline(lines, line) && line.starts_with('#');) {
        std::string_view text = line;
        text.remove_prefix(text.starts_with("# ") ? 2 : 1);
        std::string rest;
        if (begins_with(text, "Question", rest)) {
            header.question = rest;
            part = &header.question;
        } else if (begins_with(text, "Answer", rest)) {
            header.answer = rest;
            part = &header.answer;
        } else if (text.empty() || text.starts_with(indented)) {
            part = nullptr;
        } else if (part) {
            append(*part, text);
        }
    }
    return header;
}

}  // namespace gpremap
