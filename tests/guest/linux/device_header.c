/* The header for programs of a Linux guest is valid C11, alone. */
#include "guest/linux/module/gpremap.h"

int main(void) {
    return gpremap_device_call(-1, gpremap_query, 0, 0, 0, 0, 0, 0) == -EBADF ? 0 : 1;
}
