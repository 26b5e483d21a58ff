// XML that is read, with the lines of its elements. The text may come from anybody: what would take more
// memory or time than it has bytes is refused, before anything reads it. So there is no DOCTYPE, and no
// entity but XML's own five.
#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

struct _xmlDoc;
struct _xmlNode;

namespace gpremap {

// A view of one element: the document must outlive it.
class XmlElement {
  public:
    explicit XmlElement(_xmlNode* node) : node_(node) {}

    std::string name() const;        // without its namespace's prefix
    std::string name_space() const;  // its URI; empty: none
    unsigned line() const;           // where its start tag ends
    std::string text() const;        // all text in it
    // All text in it as it stands in the file: line n of it is line line() + n - 1 of the file.
    std::string text_by_line() const;
    std::optional<std::string> attribute(const char* name) const;
    std::vector<std::string> attribute_names() const;
    std::vector<std::string> attribute_values() const;

    std::vector<XmlElement> children() const;
    std::vector<XmlElement> children(const char* name) const;
    std::optional<XmlElement> child(const char* name) const;
    // Follows names one by one, the first of each.
    std::optional<XmlElement> find(std::initializer_list<const char*> names) const;

    void set_text(const char* text);

  private:
    _xmlNode* node_;
};

class XmlDocument {
  public:
    // What is not well-formed. `line` is where the reader noticed.
    struct Error : std::runtime_error {
        Error(const std::string& what, unsigned at) : std::runtime_error(what), line(at) {}
        unsigned line;
    };

    // What is not read, however well-formed: more than `largest`, a tag longer than `longest_tag`, a DOCTYPE,
    // another encoding than UTF-8.
    struct Refused : std::runtime_error {
        Refused(const std::string& what, unsigned at) : std::runtime_error(what), line(at) {}
        unsigned line;
    };
    static constexpr size_t largest = 1u << 20;       // bytes
    static constexpr size_t longest_tag = 16u << 10;  // bytes, with its attributes

    // Throws Refused, and Error.
    explicit XmlDocument(const std::string& text);

    XmlElement root() const;
    std::string text() const;

  private:
    struct Free {
        void operator()(_xmlDoc* document) const;
    };
    std::unique_ptr<_xmlDoc, Free> document_;
};

}  // namespace gpremap
