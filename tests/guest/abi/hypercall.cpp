// The header alone, in C++: the same numbers and layout as in C.
#include "guest/abi/hypercall.h"

#include <cstddef>
#include <cstdio>

extern "C" uint64_t sum_in_c();

namespace {

using gpremap::abi::Call;

constexpr Call calls[] = {
#define GPREMAP_CALL(name, number) Call::name,
    GPREMAP_CALLS(GPREMAP_CALL)
#undef GPREMAP_CALL
};

uint64_t sum_in_cpp() {
    uint64_t sum = 0;
    for (Call call : calls) sum = sum * 31 + static_cast<uint64_t>(call);
    sum = sum * 31 + static_cast<uint64_t>(Call::map) + static_cast<uint64_t>(Call::utek_mremap);
    sum = sum * 31 + sizeof(gpremap_extent_info);
    sum = sum * 31 + sizeof(gpremap_batch_call);
    return sum * 31 + offsetof(gpremap_batch_call, result);
}

}  // namespace

int main() {
    if (sum_in_c() == sum_in_cpp()) return 0;
    std::puts("C and C++ do not make the same of guest/abi/hypercall.h");
    return 1;
}
