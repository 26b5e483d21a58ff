// Where a case can be run. The runner sees a place only through this; the pictures, the calls and what
// is expected of them are the same everywhere.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "guest/abi/agent.h"
#include "vmm/cases/reading.h"
#include "vmm/memory/remapper.h"

namespace gpremap {

// A call as it goes over the wire: addresses and sizes in bytes.
struct RawCall {
    abi::Call number = abi::Call::nop;
    std::array<uint64_t, 6> args{};
    std::vector<RawCall> batch;  // for Call::batch
};

// The place cannot do what the case asks for, so the case says nothing about it here.
struct CaseSkipped : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The place could not do or see what it should have been able to: the case has failed.
struct CaseFailed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// How a picture may be taken. Writing puts back what was read, but makes untouched memory touched.
enum class Touch { reading, reading_and_writing };

class CasePlace {
  public:
    virtual ~CasePlace() = default;

    // Where granule 0 of the window lies, and the end of the aperture: guest-physical bytes.
    virtual uint64_t window() const = 0;
    virtual uint64_t aperture_end() const = 0;

    // Maps what the case's picture shows, granule by granule, with its attributes and limits. Throws
    // CaseSkipped where this place has no such thing, CaseFailed where it should have and has not.
    virtual void build(const Case& c) = 0;

    // The result or -errno. Throws CaseSkipped where the call means something else in this place.
    virtual int64_t call(const RawCall& call) = 0;

    virtual bool faults(uint64_t at, abi::FaultKind access) = 0;

    // One character a granule, as in the case file; and '?' where the bytes of a granule differ from
    // each other or are no letter's, '!' where an access does not do what the reported protection says.
    virtual std::string picture(uint64_t at, uint64_t granules, Touch touch) = 0;

    // How many extents lie in the range, wholly or in part.
    virtual uint64_t extents(uint64_t at, uint64_t granules) = 0;

    // The first word of a granule that is mapped; poke makes it writable first where it is not.
    // Both throw CaseFailed where nothing is mapped.
    virtual uint64_t peek(uint64_t at) = 0;
    virtual void poke(uint64_t at, uint64_t value) = 0;
};

// Granules that one call maps: neighbours of equal protection and attribute, with no bar between them.
struct PictureRun {
    uint64_t begin;  // granules
    uint64_t end;
    uint64_t prot;  // abi::prot_*
    Attribute attribute;
};

// A place where everything is done by the calls of guest/abi/hypercall.h: a VM, or the model of one.
class PlaceByCalls : public CasePlace {
  public:
    explicit PlaceByCalls(uint64_t granule) : granule_(granule) {}

    uint64_t window() const override;
    uint64_t aperture_end() const override;
    void build(const Case& c) override;

  protected:
    // Makes every byte of the granule `byte`. It is mapped writable.
    virtual void fill(uint64_t at, uint8_t byte) = 0;
    // From now on: bytes, bytes, extents.
    virtual void set_limits(uint64_t memory, uint64_t locked, uint64_t extents) = 0;

    // A call that must succeed. Throws CaseFailed where it does not.
    void must(abi::Call number, std::array<uint64_t, 6> args);
    uint64_t granule() const { return granule_; }

  private:
    void map_run(const Case& c, const PictureRun& run);
    void finish_run(const PictureRun& run);

    uint64_t granule_;
};

// What a place by calls has: the aperture of a machine that nobody has configured otherwise.
MemoryConfig case_memory(uint64_t granule);

// In the order of the picture.
std::vector<PictureRun> runs_of(const Case& c);

// The protection that a character of a picture stands for.
uint64_t prot_of_picture(char granule);

// What the bytes of a granule look like in a picture: '0', a small letter, or '?' for any other byte.
char letter_of_byte(uint8_t byte);

// The byte that fills a granule: 0 for '0' and '_', the small letter for a letter.
uint8_t byte_of_picture(char granule);

}  // namespace gpremap
