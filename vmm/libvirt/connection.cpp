#include "vmm/libvirt/connection.h"

namespace gpremap {

namespace {

std::string message_of(const virError* error) {
    return error && error->message ? error->message : "libvirt gives no reason";
}

}  // namespace

LibvirtError::LibvirtError(const std::string& what) : LibvirtError(what, virGetLastError()) {}

LibvirtError::LibvirtError(const std::string& what, const virError* error)
    : HostLacks(what + ": " + message_of(error)),
      number_(error ? static_cast<virErrorNumber>(error->code) : VIR_ERR_INTERNAL_ERROR),
      message_(message_of(error)) {}

Connection open_connection(const std::string& uri) {
    // Without a handler, libvirt prints each error on standard error.
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    checked(virInitialize(), "cannot initialise libvirt");
    return Connection(checked(virConnectOpen(uri.c_str()), "cannot connect to " + uri));
}

}  // namespace gpremap
