#include "vmm/libvirt/test_driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
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

Domain defined(virConnectPtr connection, const std::string& xml) {
    remove_domains(connection);
    return Domain(virDomainDefineXMLFlags(connection, xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
}

// ---- what a message is about ----

// Words of a message, and how much each says: most of all 'one in quotes' and the element at which the
// validation stopped.
using Words = std::map<std::string, unsigned>;

Words words_of(const std::string& message) {
    static const std::regex word(R"(\B'([^']+)'|(?:[Ee]lement|attribute|content:) (\w+)|(\w+))");
    Words words;
    for (std::sregex_iterator i(message.begin(), message.end(), word), end; i != end; ++i) {
        bool plain = (*i)[3].matched;
        unsigned& weight = words[plain ? (*i)[3] : (*i)[1].matched ? (*i)[1] : (*i)[2]];
        weight = std::max(weight, plain ? 2u : 4u);
    }
    words.erase("domain");  // every message of the validation ends with it
    return words;
}

unsigned weight_of(const Words& words, const std::string& word) {
    auto found = words.find(word);
    return found == words.end() ? 0 : found->second;
}

// A plain word of a message names an element or an attribute. Only a number may also be a value.
unsigned weight_of_value(const Words& words, const std::string& value) {
    bool number = !value.empty() && std::all_of(value.begin(), value.end(),
                                                [](unsigned char c) { return std::isdigit(c) != 0; });
    unsigned weight = weight_of(words, value);
    return weight > 2 || number ? weight : 0;
}

unsigned weight_of(const Words& words, const XmlElement& element) {
    unsigned weight = weight_of(words, element.name());
    for (const std::string& name : element.attribute_names()) weight += weight_of(words, name);
    for (const std::string& value : element.attribute_values()) weight += weight_of_value(words, value);
    if (element.children().empty()) weight += weight_of_value(words, element.text());
    return weight;
}

struct Best {
    unsigned weight = 0;
    unsigned line = 1;
};

// The element that shares most with the message; one inside of an element that is named, before others.
void look_in(const XmlElement& element, const Words& words, bool in_named, Best& best) {
    for (const XmlElement& child : element.children()) {
        unsigned weight = weight_of(words, child);
        if (weight && in_named) weight++;
        if (weight > best.weight) best = {weight, child.line()};
        look_in(child, words, in_named || weight_of(words, child.name()), best);
    }
}

unsigned line_of(const std::string& message, const XmlElement& domain) {
    Best best{0, domain.line()};
    look_in(domain, words_of(message), false, best);
    return best.line;
}

}  // namespace

std::string normalised_domain(const XmlDocument& written, const std::string& file) {
    Connection connection = open_connection("test:///default");
    Domain domain = defined(connection.get(), written.text());
    if (!domain) {
        const LibvirtError error("libvirt refuses the domain");
        throw ConfigError(
            fmt::format("{}:{}: {}", file, line_of(error.message(), written.root()), error.what()));
    }
    std::unique_ptr<char, FreeText> text(
        checked(virDomainGetXMLDesc(domain.get(), VIR_DOMAIN_XML_INACTIVE), "cannot read the domain back"));
    checked(virDomainUndefine(domain.get()), "cannot undefine the domain");
    return text.get();
}

void refuse_malformed(const std::string& text, const std::string& file) {
    Connection connection = open_connection("test:///default");
    if (defined(connection.get(), text)) throw ConfigError(file + ": not XML");
    const std::string what = LibvirtError("libvirt refuses the domain").what();
    // "...(domain_definition):LINE: what is wrong", then the line itself, which may be anybody's secret.
    std::smatch stated;
    static const std::regex line(R"(\(domain_definition\):(\d+):)");
    unsigned at = std::regex_search(what, stated, line) ? static_cast<unsigned>(std::stoul(stated[1])) : 1;
    throw ConfigError(fmt::format("{}:{}: {}", file, at, what.substr(0, what.find('\n'))));
}

}  // namespace gpremap
