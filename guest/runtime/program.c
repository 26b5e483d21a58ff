#include "guest/runtime/program.h"

enum { most_arguments = 32 };

struct gpremap_area* gpremap_self;

/* The entry point, which the agent calls. */
int64_t gpremap_enter(struct gpremap_area* area);

int64_t gpremap_enter(struct gpremap_area* area) {
    static char* argv[most_arguments + 1];
    struct gpremap_workload* workload = &area->workload;
    char *text = workload->arguments, *end = text + sizeof workload->arguments;
    uint64_t argc = 0;
    gpremap_self = area;
    while (argc < workload->argument_count && argc < most_arguments) {
        argv[argc++] = text;
        while (text < end && *text) text++;
        text++;
    }
    return gpremap_main((int)argc, argv);
}

int64_t gpremap_call(uint64_t number, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4) {
    int64_t result;
    gpremap_call_begins();
    result = gpremap_hypercall(number, a0, a1, a2, a3, a4, 0);
    gpremap_call_ends();
    return result;
}

int gpremap_is_stopping(void) {
    return gpremap_is_to_stop(&gpremap_self->workload);
}

/* ---- measuring ---- */

void gpremap_begin(void) {
    gpremap_operation_begins(gpremap_self, gpremap_timestamp());
}

void gpremap_end(uint64_t bytes) {
    gpremap_operation_ends(gpremap_self, bytes);
}

static void put_name(char* to, const char* name) {
    uint64_t i;
    for (i = 0; i < GPREMAP_NAME_SIZE - 1 && name[i]; i++) to[i] = name[i];
    to[i] = 0;
}

void gpremap_note_event(const char* name, uint64_t begin, uint64_t end) {
    struct gpremap_workload* workload = &gpremap_self->workload;
    uint64_t i = 0;
    while (i < workload->event_names && !gpremap_same_text(workload->event_name[i], name)) i++;
    if (i == GPREMAP_EVENT_NAMES) return;
    if (i == workload->event_names) {
        put_name(workload->event_name[i], name);
        workload->event_names++;
    }
    gpremap_event_seen(gpremap_self, i, begin, end);
}

void gpremap_note_value(const char* name, uint64_t value) {
    struct gpremap_workload* workload = &gpremap_self->workload;
    uint64_t i = 0;
    while (i < workload->values && !gpremap_same_text(workload->value[i].name, name)) i++;
    if (i == GPREMAP_VALUES) return;
    put_name(workload->value[i].name, name);
    workload->value[i].value = value;
    if (i == workload->values) workload->values++;
}

int gpremap_fail(const char* why) {
    char* problem = gpremap_self->workload.problem;
    uint64_t i;
    for (i = 0; i < sizeof gpremap_self->workload.problem - 1 && why[i]; i++) problem[i] = why[i];
    problem[i] = 0;
    return 1;
}

uint64_t gpremap_ns(uint64_t ticks) {
    return gpremap_nanoseconds(&gpremap_self->workload, ticks);
}

struct gpremap_place gpremap_range(void) {
    uint64_t number;
    return gpremap_read_place(&gpremap_self->workload, &number);
}

/* ---- what a C library would have ---- */

void* memcpy(void* __restrict to, const void* __restrict from, size_t size) {
    gpremap_copy(to, from, size);
    return to;
}

void* memset(void* to, int byte, size_t size) {
    gpremap_set(to, (unsigned char)byte, size);
    return to;
}

int gpremap_same_text(const char* a, const char* b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

uint64_t gpremap_number(const char* digits) {
    uint64_t number = 0;
    for (; *digits >= '0' && *digits <= '9'; digits++) number = number * 10 + (uint64_t)(*digits - '0');
    return *digits ? 0 : number;
}
