// Writes XML, indented. Text and attributes are escaped.
//
//     XmlWriter xml;
//     xml.element("cpu", {{"mode", "maximum"}}, [&] { xml.element("numa"); });
//     xml.element("name", {}, "guest");
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

struct _xmlBuffer;
struct _xmlTextWriter;

namespace gpremap {

class XmlWriter {
  public:
    using Attributes = std::initializer_list<std::pair<std::string_view, std::string>>;

    XmlWriter();
    ~XmlWriter();

    void element(std::string_view name, Attributes attributes = {}, const std::string& text = "");
    // `children` writes what is inside.
    void element(std::string_view name, Attributes attributes, const std::function<void()>& children);
    // XML that is well-formed already.
    void raw(const std::string& xml);

    std::string text();

  private:
    void start(std::string_view name, Attributes attributes);

    struct Free {
        void operator()(_xmlBuffer* buffer) const;
        void operator()(_xmlTextWriter* writer) const;
    };
    std::unique_ptr<_xmlBuffer, Free> buffer_;
    std::unique_ptr<_xmlTextWriter, Free> writer_;
};

}  // namespace gpremap
