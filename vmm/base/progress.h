// A progress bar on standard error, while it is a terminal: "[#####.....] 5/10 move heap to=16GiB".
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace gpremap {

enum class ShowProgress { yes, no };

class Progress {
  public:
    Progress(size_t total, ShowProgress show);
    ~Progress() { clear(); }

    bool is_visible() const { return visible_; }
    // Draws the bar with what is being done, and lines below it; all are cut to the terminal's width.
    void show(const std::string& doing, const std::vector<std::string>& below = {});
    // One more is done; takes the bar away, so that a row of results can be printed.
    void advance();
    void clear();

  private:
    size_t total_;
    size_t done_ = 0;
    bool visible_ = false;
    size_t drawn_ = 0;  // lines
};

}  // namespace gpremap
