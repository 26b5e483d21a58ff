// Mappings that are there to be given up. Linux lets a process have only so many (vm.max_map_count), and
// refuses an mremap some before that. A call may come so far and no further: what then undoes or finishes it
// needs room.
#pragma once

namespace gpremap {

class Ballast {
  public:
    Ballast() { restore(); }
    ~Ballast() { drop(); }
    Ballast(const Ballast&) = delete;
    Ballast& operator=(const Ballast&) = delete;

    // Makes room for some dozens of mappings. False where that has been done already.
    bool drop();
    // When the room is not needed any more; as far as the process may have mappings again.
    void restore();

  private:
    void* at_ = nullptr;
};

}  // namespace gpremap
