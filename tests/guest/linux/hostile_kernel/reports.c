// An agent that does nothing of what it is told, and says anything of it.
#include <asm-generic/errno-base.h>

#include "kernel.h"

// What guest/abi/agent.h has, which is C++.
struct fault {
    uint64_t address, rip, error_code;
    uint32_t kind, cause, vcpu, vector;
};
struct step {
    uint32_t op, reserved;
    uint64_t arg[8];
    uint8_t bytes[64];
    uint64_t followers;
    struct {
        uint64_t vcpu, from_result, at, size;
    } follower[8];
};
struct report {
    uint32_t outcome, reserved;
    int64_t result;
    uint64_t tsc_begin, tsc_end, mismatch_at, mismatch_found, mismatch_expected;
    struct fault fault;
};
struct mailbox {
    struct step step;
    struct report report;
};
enum { op_call = 1, op_command = 16 };

// One step in so many is reported as none can be.
#define NONSENSE 64

static uint64_t any_result(const struct step* step) {
    switch (below(8)) {
        case 0:
            return any_word();
        case 1:
            return (uint64_t) - (int64_t)below(200);
        case 2:
            return below(1024);
        case 3:
            return UINT64_C(1) << below(64);
        case 4:
            return step->arg[1 + below(7)];
        default:
            return 0;
    }
}

static void write_report(struct mailbox* mailbox) {
    struct report report;
    for (unsigned i = 0; i < sizeof report / 8; i++) ((uint64_t*)&report)[i] = any_word();
    const bool is_nonsense = below(NONSENSE) == 0;
    report.outcome = (uint32_t)(is_nonsense ? any_word() : below(4) ? 0 : below(3));
    report.fault.kind = (uint32_t)(is_nonsense ? any_word() : below(3));
    report.fault.cause = (uint32_t)(is_nonsense ? any_word() : below(2));
    report.result = (int64_t)any_result(&mailbox->step);
    if (below(2)) report.tsc_end = now(), report.tsc_begin = report.tsc_end - below(1000);
    mailbox->report = report;
}

// What a query or a command leaves in the order's buffer.
static void write_buffer(const struct step* step) {
    const bool is_query = step->op == op_call && step->arg[0] == gpremap_query;
    const uint64_t at = is_query ? step->arg[3] : step->op == op_command ? step->arg[0] : 0;
    if (at < (UINT64_C(1) << 20) || at > (UINT64_C(96) << 20) - PAGE) return;
    for (uint64_t i = 0; i < PAGE / 8; i++) ((uint64_t*)at)[i] = below(4) ? any_word() : 0;
}

static void take_steps(unsigned vcpu) {
    struct mailbox* mailbox = (struct mailbox*)world.vcpu[vcpu].mailbox;
    hypercall(gpremap_hello, (uint64_t[6]){GPREMAP_ABI_VERSION});
    for (;;) {
        const int64_t result = (int64_t)hypercall(gpremap_next, (uint64_t[6]){0});
        if (result == -EAGAIN) {
            gpremap_pause();
            continue;
        }
        if (result) say_wrong("next", 0, result);
        write_buffer(&mailbox->step);
        if (mailbox->step.op == op_call && below(2))
            hypercall(mailbox->step.arg[0], &mailbox->step.arg[1]);  // it may even be done
        write_report(mailbox);
        if (hypercall(gpremap_done, (uint64_t[6]){0})) say_wrong("done", 0, 0);
    }
}

static void take_steps_of_second(void) {
    take_steps(1);
}

void attack_reports(void) {
    start_second(take_steps_of_second);
    take_steps(0);
}
