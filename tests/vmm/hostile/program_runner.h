// What program_runner.S and programs_test.cpp agree on.
#ifndef GPREMAP_PROGRAM_RUNNER_H
#define GPREMAP_PROGRAM_RUNNER_H

#define PROGRAM_STRIDE 256  // bytes, of which a program may have all
#define RUNNER_STEPS 200    // instructions of a program

// What headers for C++ have, for the assembler.
#define RUNNER_AT 0x4000000     // GPREMAP_PROGRAMS
#define DEBUG_STUB_AT 0x402010  // layout::stubs, of vector 1
#define HYPERCALL_PORT 0xe4     // GPREMAP_HYPERCALL_PORT
#define EXCEPTION_PORT 0xe5     // abi::exception_port
#define CALL_FAULT_HANDLER 0x03
#define CALL_RESUME 0x07

#endif
