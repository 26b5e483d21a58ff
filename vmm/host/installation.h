// Where the program lies, and what comes with it. Nothing of this is compiled in as an absolute path, so that the
// build folder and what has been installed can be moved.
#pragma once

#include <filesystem>

namespace gpremap {

// What runs inside guests, and what makes their images: build/guest, or libexec/gpremap where the program has been
// installed. It need not be there.
std::filesystem::path guests_folder();

}  // namespace gpremap
