#include "vmm/base/descriptor.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace gpremap {

Descriptor::~Descriptor() {
    if (fd_ >= 0) close(fd_);
}

void throw_errno(const std::string& attempted) {
    throw std::system_error(errno, std::generic_category(), attempted);
}

}  // namespace gpremap
