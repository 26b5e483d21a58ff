#include "vmm/page/markdown.h"

#include <fmt/format.h>

#include <string_view>

namespace gpremap {

namespace {

// In a line, whatever is in it: a table's cell, or a paragraph.
std::string in_line(const std::string& text) {
    constexpr std::string_view special = "\\`*_[]<>|#~&";
    std::string safe;
    for (char c : text) {
        if (special.find(c) != std::string_view::npos) safe += '\\';
        safe += c == '\n' || c == '\r' ? ' ' : c;
    }
    return safe;
}

std::string row_of(const JsonObject& cells) {
    std::string row = "|";
    for (const JsonObject& cell : cells) row += fmt::format(" {} |", in_line(cell.get<std::string>()));
    return row + "\n";
}

std::string table_of(const JsonObject& table) {
    if (table.at("rows").empty()) return "";
    std::string text = fmt::format("## {}\n\n", in_line(table.at("title").get<std::string>()));
    if (const std::string note = table.at("note"); !note.empty()) text += in_line(note) + "\n\n";
    text += row_of(table.at("head")) + "|---|";
    for (size_t i = 1; i < table.at("head").size(); i++) text += "---:|";
    text += "\n";
    for (const JsonObject& row : table.at("rows")) text += row_of(row);
    return text + "\n";
}

}  // namespace

std::string markdown_of(const JsonObject& contents) {
    const std::string question = contents.at("question"), title = contents.at("title");
    std::string text = fmt::format("# {}\n\n", in_line(question.empty() ? title : question));
    if (!question.empty()) text += in_line(title) + "\n\n";
    for (const JsonObject& note : contents.at("notes"))
        text += fmt::format("> **{}**\n\n", in_line(note.get<std::string>()));
    text += table_of(contents.at("numbers"));
    if (const std::string answer = contents.at("answer"); !answer.empty()) text += in_line(answer) + "\n\n";
    for (const JsonObject& table : contents.at("tables")) text += table_of(table);
    text += table_of(contents.at("host"));
    if (!contents.at("commands").empty()) text += "## To run it again\n\n";
    for (const JsonObject& command : contents.at("commands"))
        text += fmt::format("    {}\n\n", command.get<std::string>());
    return text;
}

}  // namespace gpremap
