// XML that is read, with the lines of its elements. Nothing outside of the text is loaded: no entities, no
// DTD.
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

    std::vector<XmlElement> children() const;
    std::vector<XmlElement> children(const char* name) const;
    std::optional<XmlElement> child(const char* name) const;
    // Follows names one by one, the first of each.
    std::optional<XmlElement> find(std::initializer_list<const char*> names) const;

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

    // Throws Error.
    explicit XmlDocument(const std::string& text);

    XmlElement root() const;

  private:
    struct Free {
        void operator()(_xmlDoc* document) const;
    };
    std::unique_ptr<_xmlDoc, Free> document_;
};

}  // namespace gpremap
