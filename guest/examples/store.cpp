// An in-memory store that is saved while it serves writes, as databases do by fork().
//
//     store snapshot 268435456 100    takes a copy-on-write snapshot by a call, every 100 ms
//     store copy     268435456 100    copies all of it instead
//
// The number is the size of the store in bytes. Latencies are those of single writes. Events: "pause", while nothing
// is served. What is saved is read beside the writes, a page a time, and must be of the moment when it was taken: no
// record in it may be newer.
#include "guest/runtime/program.h"

namespace {

using gpremap::abi::Call;

constexpr uint64_t page = 4096;

// Every write stores the number of the write in both words; the rest is payload.
struct Record {
    uint64_t written;
    uint64_t payload[14];
    uint64_t written_too;
};
constexpr uint64_t records_a_page = page / sizeof(Record);

// A result of a call as an address; 0 for an error.
Record* memory(int64_t result) {
    return gpremap_is_error(result) ? nullptr : reinterpret_cast<Record*>(result);
}

uint64_t address(const Record* records) {
    return reinterpret_cast<uint64_t>(records);
}

Record* map(uint64_t size) {
    return memory(
        gpremap_call(Call::map, 0, size, GPREMAP_PROT_READ | GPREMAP_PROT_WRITE, GPREMAP_FLAG_ANYWHERE, 0));
}

class Store {
  public:
    Store(uint64_t size, bool copies) : size_(size), copies_(copies) {}

    bool open() {
        records_ = map(size_);
        if (records_) memset(records_, 0, size_);
        return records_ != nullptr;
    }

    void write() {
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        Record& record = records_[random_ % (size_ / sizeof(Record))];
        record.written = ++writes_;
        record.payload[writes_ % 14] = random_;
        record.written_too = writes_;
    }

    // What it had before is given back, if it was read to the end or not.
    bool save() {
        const uint64_t begin = gpremap_timestamp();
        if (saved_) gpremap_call(Call::unmap, address(saved_), size_);
        saved_ = copies_ ? map(size_)
                         : memory(gpremap_call(Call::snapshot, address(records_), 0, size_, GPREMAP_PROT_READ,
                                               GPREMAP_FLAG_ANYWHERE));
        if (saved_ && copies_) memcpy(saved_, records_, size_);
        gpremap_note_event("pause", begin, gpremap_timestamp());
        writes_when_saved_ = writes_;
        next_page_ = 0;
        return saved_ != nullptr;
    }

    // The next page of what is saved; false: it is of another moment.
    bool read_a_page() {
        if (!saved_ || next_page_ == size_ / page) return true;
        const Record* record = saved_ + next_page_++ * records_a_page;
        for (uint64_t i = 0; i < records_a_page; i++)
            if (record[i].written > writes_when_saved_ || record[i].written != record[i].written_too)
                return false;
        if (next_page_ == size_ / page) gpremap_note_value("saved", ++times_saved_);
        return true;
    }

  private:
    const uint64_t size_;
    const bool copies_;
    Record* records_ = nullptr;
    Record* saved_ = nullptr;
    uint64_t writes_ = 0;
    uint64_t writes_when_saved_ = 0;
    uint64_t next_page_ = 0;
    uint64_t times_saved_ = 0;
    uint64_t random_ = 88172645463325252;
};

}  // namespace

int gpremap_main(int argc, char** argv) {
    const uint64_t size = argc == 3 ? gpremap_number(argv[1]) : 0,
                   ms = argc == 3 ? gpremap_number(argv[2]) : 0;
    if (size == 0 || size % page != 0 || ms == 0 ||
        !(gpremap_same_text(argv[0], "snapshot") || gpremap_same_text(argv[0], "copy")))
        return gpremap_fail("expected arguments such as [\"snapshot\", \"268435456\", \"100\"], or \"copy\"");
    Store store(size, gpremap_same_text(argv[0], "copy"));
    if (!store.open()) return gpremap_fail("there is no memory for the store: raise vm.limit");
    uint64_t saved = gpremap_timestamp();
    for (uint64_t writes = 0; !gpremap_is_stopping(); writes++) {
        gpremap_begin();
        store.write();
        gpremap_end(sizeof(Record));
        if (writes % 16 == 0 && !store.read_a_page())
            return gpremap_fail("what was saved is of more than one moment");
        if (gpremap_ns(gpremap_timestamp() - saved) < ms * 1'000'000) continue;
        if (!store.save()) return gpremap_fail("there is no memory to save the store: raise vm.limit");
        saved = gpremap_timestamp();
    }
    return 0;
}
