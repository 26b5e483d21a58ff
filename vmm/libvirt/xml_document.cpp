#include "vmm/libvirt/xml_document.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <cstring>

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

void XmlDocument::Free::operator()(_xmlDoc* document) const {
    xmlFreeDoc(document);
}

XmlDocument::XmlDocument(const std::string& text)
    : document_(
          xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, nullptr,
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES)) {
    if (document_ && xmlDocGetRootElement(document_.get())) return;
    const xmlError* error = xmlGetLastError();
    throw Error(error && error->message ? without_line_end(error->message) : "there is no element in it",
                error && error->line > 0 ? static_cast<unsigned>(error->line) : 1);
}

XmlElement XmlDocument::root() const {
    return XmlElement(xmlDocGetRootElement(document_.get()));
}

}  // namespace gpremap
