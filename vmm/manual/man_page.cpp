#include "vmm/manual/man_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>

namespace gpremap {

namespace {

// As text of a page: no character of it is taken for a request, an escape or a typographic dash.
std::string escaped(std::string_view text) {
    std::string result;
    bool at_begin = true;
    for (char c : text) {
        if (at_begin && (c == '.' || c == '\'')) result += "\\&";
        if (c == '-' || c == '\\')
            result += c == '-' ? "\\-" : "\\e";
        else
            result += c;
        at_begin = c == '\n';
    }
    return result;
}

std::string bold(std::string_view text) {
    return "\\fB" + escaped(text) + "\\fR";
}
std::string italic(std::string_view text) {
    return "\\fI" + escaped(text) + "\\fR";
}

std::string page_name(const Command& program, const Command& verb) {
    return program.name + "-" + verb.name;
}

std::string upper(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
    return text;
}

class Page {
  public:
    // Without a date: the same program has the same page.
    Page(const std::string& name, const std::string& does, const std::string& version)
        : text_(fmt::format(".TH {} 1 \"\" \"gpremap {}\" \"gpremap's manual\"\n.nh\n.ad l\n",
                            escaped(upper(name)), version)) {
        section("NAME");
        line(fmt::format("{} \\- {}", escaped(name), escaped(does)));
    }

    void section(std::string_view title) { line(fmt::format(".SH {}", title)); }
    void line(std::string_view troff) { fmt::format_to(std::back_inserter(text_), "{}\n", troff); }
    void paragraph(std::string_view text) { line(".PP\n" + escaped(text)); }
    // One line as it stands for each of `text`.
    void verbatim(std::string_view text) { line(".PP\n.nf\n" + escaped(text) + "\n.fi"); }
    void entry(std::string_view head, std::string_view text) {
        line(fmt::format(".TP\n{}\n{}", head, escaped(text)));
    }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

std::string synopsis_of(const CommandArgument& argument) {
    const std::string name = italic(argument.value.name) + (argument.may_repeat ? "..." : "");
    return argument.is_required ? name : "[" + name + "]";
}

// "-o DIR, --output DIR" would say it twice: the value stands behind the last name.
std::string head_of(const CommandOption& option) {
    std::string head;
    for (const std::string& name : option.names) head += (head.empty() ? "" : ", ") + bold(name);
    const CommandValue& value = option.value;
    if (!value.exists()) return head;
    return head + (value.is_optional ? "[=" + italic(value.name) + "]" : " " + italic(value.name));
}

std::string said_of(const std::string& does, const CommandValue& value) {
    if (value.choices.empty()) return does;
    return fmt::format("{}; {}: {}", does, value.name, fmt::join(value.choices, ", "));
}

void add_options(Page& page, const Command& command) {
    for (const CommandArgument& argument : command.arguments)
        page.entry(italic(argument.value.name), said_of(argument.does, argument.value));
    page.section("OPTIONS");
    for (const CommandOption& option : command.options)
        page.entry(head_of(option), said_of(option.does, option.value));
}

}  // namespace

std::string program_page(const Command& program, const std::string& version) {
    Page page(program.name, "mremap for the physical memory of a KVM guest", version);
    page.section("SYNOPSIS");
    page.line(fmt::format("{} {} [{}]...\n.br\n{} [{} | {}]", bold(program.name), italic("VERB"),
                          italic("ARGUMENT"), bold(program.name), bold("--help"), bold("--version")));
    page.section("DESCRIPTION");
    page.line(escaped(program.does));
    page.section("VERBS");
    for (const Command& verb : program.verbs) page.entry(bold(page_name(program, verb)) + "(1)", verb.does);
    add_options(page, program);
    page.section("NOTES");
    page.paragraph(
        "What is shipped with the program lies in share/gpremap/configs (scenarios and experiments),\n"
        "share/gpremap/schema (JSON Schemas of scenarios and results) and share/doc/gpremap, beside\n"
        "the folder that the program has been installed in. Its README.md is the first to read.");
    page.verbatim(program.epilogue);
    return page.text();
}

std::string verb_page(const Command& program, const Command& verb, const std::string& version) {
    Page page(page_name(program, verb), verb.does, version);
    page.section("SYNOPSIS");
    std::string arguments;
    for (const CommandArgument& argument : verb.arguments) arguments += " " + synopsis_of(argument);
    page.line(bold(program.name + " " + verb.name) + " [" + italic("OPTION") + "]..." + arguments);
    page.section("DESCRIPTION");
    page.line(escaped(program.name + " " + verb.name + ": " + verb.does + "."));
    add_options(page, verb);
    if (!verb.epilogue.empty()) {
        page.section("NOTES");
        page.verbatim(verb.epilogue);
    }
    page.section("SEE ALSO");
    page.line(bold(program.name) + "(1), which has the exit statuses");
    return page.text();
}

}  // namespace gpremap
