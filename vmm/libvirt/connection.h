// libvirt's objects with owners, and its errors as exceptions.
//
//     Connection connection = open_connection("qemu:///system");
//     Domain domain(checked(virDomainDefineXMLFlags(connection.get(), xml.c_str(),
//     VIR_DOMAIN_DEFINE_VALIDATE),
//                           "cannot define the domain"));
//
// Only for sources that are built with libvirt: the rest of the program includes what has no libvirt in it.
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <memory>
#include <string>

#include "vmm/base/errors.h"

namespace gpremap {

// What libvirt refused or failed to do: "WHAT: MESSAGE", where MESSAGE is its own and unchanged.
class LibvirtError : public HostLacks {
  public:
    // Takes the last error of this thread.
    explicit LibvirtError(const std::string& what);

    virErrorNumber number() const { return number_; }
    const std::string& message() const { return message_; }  // libvirt's own

  private:
    LibvirtError(const std::string& what, const virError* error);

    virErrorNumber number_;
    std::string message_;
};

struct CloseConnection {
    void operator()(virConnectPtr connection) const { virConnectClose(connection); }
};
// Closed with its owner; domains keep theirs open for as long as they need it.
using Connection = std::unique_ptr<virConnect, CloseConnection>;

struct FreeDomain {
    void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
// The handle, not the guest: one that runs goes on without it.
using Domain = std::unique_ptr<virDomain, FreeDomain>;

// libvirt prints nothing by itself from here on. Throws LibvirtError: "cannot connect to URI: ...".
// A URI that needs an event loop (qemu:///embed) needs it running before.
Connection open_connection(const std::string& uri);

// `result` of a libvirt call, where it did not fail. Throws LibvirtError with `what` was attempted.
template <typename T>
T* checked(T* result, const std::string& what) {
    if (!result) throw LibvirtError(what);
    return result;
}
inline int checked(int result, const std::string& what) {
    if (result < 0) throw LibvirtError(what);
    return result;
}

}  // namespace gpremap
