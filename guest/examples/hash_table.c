/*
 * A hash table that grows while it is filled: its entries lie in one array, which is doubled when it is full.
 *
 *     hash-table realloc 1048576     grows the array by a call, which moves pages and copies nothing
 *     hash-table copy    1048576     maps a new array, copies the entries, unmaps the old one
 *
 * The number is how many keys are put in, then the table begins anew, until the run ends. Latencies are those of
 * single insertions: the tail is what growing costs. Events: "growth". At its end every key must be found.
 */
#include "guest/runtime/program.h"

enum { page = 4096, first_entries = 1 << 14 };

struct entry {
    uint64_t key;
    uint64_t value;
    uint64_t next; /* index + 1 of the next entry in the bucket */
};

struct table {
    struct entry* entries;
    uint64_t entries_size; /* bytes of the array, whole pages */
    uint64_t used;
    uint64_t*
        buckets; /* as many as there can be entries, rounded down to a power of 2: index + 1 of the first */
    uint64_t bucket_count;
};

static int copies;

static void* map(uint64_t size) {
    int64_t at =
        gpremap_call(gpremap_map, 0, size, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, GPREMAP_FLAG_ANYWHERE, 0);
    return gpremap_is_error(at) ? 0 : (void*)(uintptr_t)at;
}

static void unmap(void* at, uint64_t size) {
    gpremap_call(gpremap_unmap, (uintptr_t)at, size, 0, 0, 0);
}

static uint64_t round_up(uint64_t size) {
    return (size + page - 1) / page * page;
}

static uint64_t hash(uint64_t key) {
    key = (key ^ (key >> 31)) * 0x7fb5d329728ea185u;
    key = (key ^ (key >> 27)) * 0x81dadef4bc2dd44du;
    return key ^ (key >> 33);
}

static void link_entry(struct table* table, uint64_t index) {
    uint64_t* bucket = &table->buckets[hash(table->entries[index].key) & (table->bucket_count - 1)];
    table->entries[index].next = *bucket;
    *bucket = index + 1;
}

/* The array of entries with at least `size` bytes: 0 where there is no memory. */
static struct entry* resize_entries(struct table* table, uint64_t size) {
    if (!copies) {
        int64_t at = gpremap_call(gpremap_grow, (uintptr_t)table->entries, table->entries_size, size,
                                  GPREMAP_FLAG_MAY_MOVE, 0);
        return gpremap_is_error(at) ? 0 : (struct entry*)(uintptr_t)at;
    }
    struct entry* entries = map(size);
    if (!entries) return 0;
    memcpy(entries, table->entries, table->used * sizeof *entries);
    unmap(table->entries, table->entries_size);
    return entries;
}

static int make(struct table* table) {
    table->used = 0;
    table->entries_size = round_up(first_entries * sizeof *table->entries);
    table->bucket_count = first_entries;
    table->entries = map(table->entries_size);
    table->buckets = map(first_entries * sizeof *table->buckets);
    return table->entries && table->buckets;
}

static void drop(struct table* table) {
    unmap(table->entries, table->entries_size);
    unmap(table->buckets, table->bucket_count * sizeof *table->buckets);
}

static int grow(struct table* table) {
    uint64_t begin = gpremap_timestamp();
    uint64_t size = 2 * table->entries_size, buckets = 2 * table->bucket_count;
    struct entry* entries = resize_entries(table, size);
    uint64_t moved = gpremap_timestamp();
    if (!entries) return 0;
    table->entries = entries;
    table->entries_size = size;
    unmap(table->buckets, table->bucket_count * sizeof *table->buckets);
    table->buckets = map(buckets * sizeof *table->buckets);
    if (!table->buckets) return 0;
    table->bucket_count = buckets;
    for (uint64_t i = 0; i < table->used; i++) link_entry(table, i);
    gpremap_note_event("growth", begin, moved);
    gpremap_note_event("relinking", moved, gpremap_timestamp());
    return 1;
}

static int insert(struct table* table, uint64_t key) {
    if ((table->used + 1) * sizeof *table->entries > table->entries_size && !grow(table)) return 0;
    table->entries[table->used].key = key;
    table->entries[table->used].value = ~key;
    link_entry(table, table->used++);
    return 1;
}

static int holds(const struct table* table, uint64_t key) {
    uint64_t index = table->buckets[hash(key) & (table->bucket_count - 1)];
    while (index && table->entries[index - 1].key != key) index = table->entries[index - 1].next;
    return index && table->entries[index - 1].value == ~key;
}

static int fill_and_check(uint64_t keys) {
    struct table table;
    uint64_t key = 0;
    if (!make(&table)) return gpremap_fail("there is no memory for the first entries");
    for (; key < keys && !gpremap_is_stopping(); key++) {
        gpremap_begin();
        if (!insert(&table, key)) return gpremap_fail("there is no memory to grow: raise vm.limit");
        gpremap_end(sizeof(struct entry));
    }
    gpremap_note_value("bytes_of_entries", table.entries_size);
    for (uint64_t i = 0; i < key; i++)
        if (!holds(&table, i)) return gpremap_fail("a key was lost");
    drop(&table);
    return 0;
}

int gpremap_main(int argc, char** argv) {
    uint64_t keys = argc == 2 ? gpremap_number(argv[1]) : 0, tables = 0;
    if (!keys || !(gpremap_same_text(argv[0], "realloc") || gpremap_same_text(argv[0], "copy")))
        return gpremap_fail(
            "expected arguments such as [\"realloc\", \"1048576\"] or [\"copy\", \"1048576\"]");
    copies = gpremap_same_text(argv[0], "copy");
    while (!gpremap_is_stopping()) {
        int failed = fill_and_check(keys);
        if (failed) return failed;
        gpremap_note_value("tables", ++tables);
    }
    return 0;
}
