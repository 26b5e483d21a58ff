// The arguments of a system call that a signal has come in place of.
#pragma once

#include <ucontext.h>

#include <array>
#include <cstdint>

namespace gpremap {

std::array<uint64_t, 6> arguments_in(const ucontext_t& context);

}  // namespace gpremap
