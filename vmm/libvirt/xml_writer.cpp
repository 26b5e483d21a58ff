#include "vmm/libvirt/xml_writer.h"

#include <libxml/tree.h>
#include <libxml/xmlwriter.h>

#include <new>

namespace gpremap {

namespace {

const xmlChar* xml_string(const std::string& text) {
    return reinterpret_cast<const xmlChar*>(text.c_str());
}

// Into memory, libxml2 fails only where there is no memory.
void check(int written) {
    if (written < 0) throw std::bad_alloc();
}

}  // namespace

void XmlWriter::Free::operator()(_xmlBuffer* buffer) const {
    xmlBufferFree(buffer);
}

void XmlWriter::Free::operator()(_xmlTextWriter* writer) const {
    xmlFreeTextWriter(writer);
}

XmlWriter::XmlWriter() : buffer_(xmlBufferCreate()) {
    if (buffer_) writer_.reset(xmlNewTextWriterMemory(buffer_.get(), 0));
    if (!writer_) throw std::bad_alloc();
    check(xmlTextWriterSetIndent(writer_.get(), 1));
    check(xmlTextWriterSetIndentString(writer_.get(), xml_string("  ")));
}

XmlWriter::~XmlWriter() = default;

void XmlWriter::start(std::string_view name, Attributes attributes) {
    check(xmlTextWriterStartElement(writer_.get(), xml_string(std::string(name))));
    for (const auto& [key, value] : attributes)
        check(xmlTextWriterWriteAttribute(writer_.get(), xml_string(std::string(key)), xml_string(value)));
}

void XmlWriter::element(std::string_view name, Attributes attributes, const std::string& text) {
    start(name, attributes);
    if (!text.empty()) check(xmlTextWriterWriteString(writer_.get(), xml_string(text)));
    check(xmlTextWriterEndElement(writer_.get()));
}

void XmlWriter::element(std::string_view name, Attributes attributes, const std::function<void()>& children) {
    start(name, attributes);
    children();
    check(xmlTextWriterEndElement(writer_.get()));
}

void XmlWriter::raw(const std::string& xml) {
    check(xmlTextWriterWriteRaw(writer_.get(), xml_string(xml)));
}

std::string XmlWriter::text() {
    check(xmlTextWriterFlush(writer_.get()));
    return {reinterpret_cast<const char*>(xmlBufferContent(buffer_.get())),
            static_cast<size_t>(xmlBufferLength(buffer_.get()))};
}

}  // namespace gpremap
