// The page of a run that goes on, for a browser on this host.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "vmm/base/json_file.h"
#include "vmm/watch/address.h"
#include "vmm/watch/follower.h"

struct MHD_Daemon;

namespace gpremap {

// Answers in one thread of its own, which has its processors and its signals from whoever makes it. A client that asks for
// nothing, or takes nothing, costs a connection for some seconds, of which there are few; others wait meanwhile, and the
// run does not.
class PageServer {
  public:
    // Follows the journal at `path`, which may not be there yet. Throws std::runtime_error where no server can be made.
    PageServer(LoopbackListener listener, std::string path);
    // Where somebody has been watching, and the journal has ended, stays until that was seen, 2 s at most.
    ~PageServer();
    PageServer(const PageServer&) = delete;
    PageServer& operator=(const PageServer&) = delete;

    const std::string& url() const { return url_; }

    struct Answer {
        unsigned status = 200;
        const char* type = "text/plain; charset=utf-8";
        std::string text;
        bool is_last = false;  // the journal has ended, and this says so
    };
    // `host` is what the request calls this server. Called by the server's thread.
    Answer answer(const std::string& method, const std::string& path, const std::string& host);
    // Called by it, too, when the last answer has gone.
    void end_was_sent() { end_was_sent_ = true; }

  private:
    std::string url_;
    std::string socket_host_;  // "127.0.0.1:41234"
    JournalFollower follower_;
    std::atomic<bool> is_watched_ = false;
    std::atomic<bool> end_was_sent_ = false;
    std::unique_ptr<MHD_Daemon, void (*)(MHD_Daemon*)> daemon_;  // last: it answers with what is above
};

}  // namespace gpremap
