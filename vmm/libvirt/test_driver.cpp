#include "vmm/libvirt/test_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "vmm/base/errors.h"
#include "vmm/libvirt/connection.h"

namespace gpremap {

namespace {

struct FreeText {
    void operator()(char* text) const { std::free(text); }
};

// The driver begins with a domain "test", whose name any file may want to have. All of it is in this process.
void remove_domains(virConnectPtr connection) {
    virDomainPtr* domains = nullptr;
    int count =
        checked(virConnectListAllDomains(connection, &domains, 0), "cannot list libvirt's test domains");
    for (int i = 0; i < count; i++) {
        Domain domain(domains[i]);
        if (virDomainIsActive(domain.get()) == 1) virDomainDestroy(domain.get());
        virDomainUndefine(domain.get());
    }
    std::free(domains);
}

// What a message is about, in the order in which it is looked for: 'the words in quotes', and the element
// that validation stopped at.
std::vector<std::string> words_of(const std::string& message) {
    static const std::regex word(R"('([^']+)'|(?:[Ee]lement|attribute|content:) (\w+))");
    std::vector<std::string> words;
    for (std::sregex_iterator i(message.begin(), message.end(), word), end; i != end; ++i)
        words.push_back((*i)[1].matched ? (*i)[1] : (*i)[2]);
    std::erase(words, "domain");  // every message of the validation ends with it
    return words;
}

bool is_about(const XmlElement& element, const std::string& word) {
    if (element.name() == word || element.attribute(word.c_str())) return true;
    for (const char* key : {"type", "model", "mode", "unit", "size", "nodeset"})
        if (element.attribute(key) == word) return true;
    return element.children().empty() && element.text() == word;
}

std::optional<unsigned> line_about(const XmlElement& element, const std::string& word) {
    if (is_about(element, word)) return element.line();
    for (const XmlElement& child : element.children())
        if (auto line = line_about(child, word)) return line;
    return std::nullopt;
}

// libvirt gives a line for what is not well-formed, and for nothing else.
unsigned line_of(const std::string& message, const std::string& xml) {
    std::smatch stated;
    if (std::regex_search(message, stated, std::regex(R"(\(domain_definition\):(\d+):)")))
        return static_cast<unsigned>(std::stoul(stated[1]));
    XmlDocument document(xml);
    for (const std::string& word : words_of(message))
        if (auto line = line_about(document.root(), word)) return *line;
    return document.root().line();
}

}  // namespace

std::string normalised_domain(const std::string& xml, const std::string& file) {
    Connection connection = open_connection("test:///default");
    remove_domains(connection.get());
    Domain domain(virDomainDefineXMLFlags(connection.get(), xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
    if (!domain) {
        const LibvirtError error("libvirt refuses the domain");
        throw ConfigError(fmt::format("{}:{}: {}", file, line_of(error.message(), xml), error.what()));
    }
    std::unique_ptr<char, FreeText> text(
        checked(virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_INACTIVE), "cannot read the domain back"));
    checked(virDomainUndefine(domain.get()), "cannot undefine the domain");
    return text.get();
}

}  // namespace gpremap
