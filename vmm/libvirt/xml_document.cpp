#include "vmm/libvirt/xml_document.h"

#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <regex>

namespace gpremap {

namespace {

struct FreeText {
    void operator()(xmlChar* text) const { xmlFree(text); }
};
using Text = std::unique_ptr<xmlChar, FreeText>;

std::string string_of(const xmlChar* text) {
    return text ? reinterpret_cast<const char*>(text) : "";
}

const xmlChar* xml_string(const char* text) {
    return reinterpret_cast<const xmlChar*>(text);
}

using Refused = XmlDocument::Refused;

unsigned line_at(const std::string& text, size_t at) {
    auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size()));
    return 1 + static_cast<unsigned>(std::count(text.begin(), end, '\n'));
}

void check_length(const std::string& text, size_t at, size_t end) {
    if (end - at > XmlDocument::longest_tag)
        throw Refused(fmt::format("a tag longer than {} KiB", XmlDocument::longest_tag >> 10),
                      line_at(text, at));
}

// The end of the tag that begins at `at`. A value may have a '>' in it, and no '<'.
size_t end_of_tag(const std::string& text, size_t at) {
    char quote = 0;
    for (at++; at < text.size() && text[at] != '<'; at++) {
        char c = text[at];
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else if (!quote && c == '>')
            break;
    }
    return at;
}

// `<?xml ... encoding='...'?>`
void check_encoding(const std::string& text, size_t at, size_t end) {
    static const std::regex stated(R"(encoding\s*=\s*["']([^"']*)["'])");
    static const std::regex like_ascii("utf-8|(us-)?ascii|iso-8859-[0-9]+", std::regex::icase);
    check_length(text, at, end);
    std::string declaration = text.substr(at, end - at);
    std::smatch encoding;
    if (std::regex_search(declaration, encoding, stated) && !std::regex_match(encoding[1].str(), like_ascii))
        throw Refused("an encoding other than UTF-8", line_at(text, at));
}

// The end of the markup at `at`, which is a '<'.
size_t end_of_markup(const std::string& text, size_t at) {
    auto behind = [&](const char* end) { return std::min(text.find(end, at), text.size()); };
    if (text.compare(at, 4, "<!--") == 0) return behind("-->");
    if (text.compare(at, 9, "<![CDATA[") == 0) return behind("]]>");
    if (text.compare(at, 2, "<?") == 0) {
        check_encoding(text, at, behind("?>"));
        return behind("?>");
    }
    if (text.compare(at, 2, "<!") == 0)
        throw Refused("a DOCTYPE is not read, nor the entities in it; take it out", line_at(text, at));
    size_t end = end_of_tag(text, at);
    check_length(text, at, end);
    return end;
}

// Entities multiply, and libxml compares each attribute of a tag with each other one.
void refuse_what_takes_too_much(const std::string& text) {
    if (text.size() > XmlDocument::largest)
        throw Refused(fmt::format("more than {} MiB of XML", XmlDocument::largest >> 20), 1);
    if (size_t at = text.find('\0'); at != std::string::npos)
        throw Refused("an encoding other than UTF-8", line_at(text, at));
    size_t at = text.find('<');
    while (at < text.size()) at = text.find('<', end_of_markup(text, at));
}

std::string without_line_end(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
}

}  // namespace

std::string XmlElement::name() const {
    return string_of(node_->name);
}

std::string XmlElement::name_space() const {
    return node_->ns ? string_of(node_->ns->href) : "";
}

unsigned XmlElement::line() const {
    return static_cast<unsigned>(std::max(1l, xmlGetLineNo(node_)));
}

std::string XmlElement::text() const {
    return string_of(Text(xmlNodeGetContent(node_)).get());
}

std::string XmlElement::text_by_line() const {
    std::string text;
    for (const _xmlNode* node = node_->children; node; node = node->next) {
        std::string content = string_of(Text(xmlNodeGetContent(node)).get());
        if (node->type == XML_COMMENT_NODE)
            text.append(static_cast<size_t>(std::count(content.begin(), content.end(), '\n')), '\n');
        else
            text += content;
    }
    return text;
}

std::optional<std::string> XmlElement::attribute(const char* name) const {
    Text value(xmlGetNoNsProp(node_, xml_string(name)));
    if (!value) return std::nullopt;
    return string_of(value.get());
}

std::vector<std::string> XmlElement::attribute_names() const {
    std::vector<std::string> names;
    for (const _xmlAttr* each = node_->properties; each; each = each->next)
        names.push_back(string_of(each->name));
    return names;
}

std::vector<std::string> XmlElement::attribute_values() const {
    std::vector<std::string> values;
    for (const _xmlAttr* each = node_->properties; each; each = each->next)
        values.push_back(string_of(Text(xmlNodeListGetString(node_->doc, each->children, 1)).get()));
    return values;
}

std::vector<XmlElement> XmlElement::children() const {
    std::vector<XmlElement> all;
    for (_xmlNode* node = node_->children; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE) all.push_back(XmlElement(node));
    return all;
}

std::vector<XmlElement> XmlElement::children(const char* name) const {
    std::vector<XmlElement> all = children();
    std::erase_if(all, [&](const XmlElement& each) { return each.name() != name; });
    return all;
}

std::optional<XmlElement> XmlElement::child(const char* name) const {
    std::vector<XmlElement> all = children(name);
    if (all.empty()) return std::nullopt;
    return all.front();
}

std::optional<XmlElement> XmlElement::find(std::initializer_list<const char*> names) const {
    std::optional<XmlElement> found = *this;
    for (const char* name : names)
        if (found) found = found->child(name);
    return found;
}

void XmlElement::set_text(const char* text) {
    xmlNodeSetContent(node_, xml_string(text));
}

void XmlDocument::Free::operator()(_xmlDoc* document) const {
    xmlFreeDoc(document);
}

XmlDocument::XmlDocument(const std::string& text) {
    refuse_what_takes_too_much(text);
    document_.reset(
        xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, nullptr,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES));
    if (document_ && xmlDocGetRootElement(document_.get())) return;
    const xmlError* error = xmlGetLastError();
    throw Error(error && error->message ? without_line_end(error->message) : "there is no element in it",
                error && error->line > 0 ? static_cast<unsigned>(error->line) : 1);
}

XmlElement XmlDocument::root() const {
    return XmlElement(xmlDocGetRootElement(document_.get()));
}

std::string XmlDocument::text() const {
    xmlChar* text = nullptr;
    int size = 0;
    xmlDocDumpMemoryEnc(document_.get(), &text, &size, "UTF-8");
    return string_of(Text(text).get());
}

}  // namespace gpremap
