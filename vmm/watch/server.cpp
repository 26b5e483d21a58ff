#include "vmm/watch/server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>

#include "vmm/base/threads.h"
#include "vmm/page/html.h"

namespace gpremap {

namespace {

std::string text_or_empty(const char* text) {
    return text ? text : "";
}

MHD_Result respond(void* server, MHD_Connection* connection, const char* url, const char* method, const char*,
                   const char*, size_t* upload_size, void** request) {
    *upload_size = 0;  // what comes with a request is thrown away
    PageServer::Answer answer;
    try {
        answer = static_cast<PageServer*>(server)->answer(
            method, url,
            text_or_empty(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST)));
    } catch (const std::exception& error) {
        spdlog::warn("--watch: {}", error.what());
        answer = {500, "text/plain; charset=utf-8", "The journal of the run cannot be read.\n"};
    }
    MHD_Response* response =
        MHD_create_response_from_buffer(answer.text.size(), answer.text.data(), MHD_RESPMEM_MUST_COPY);
    if (!response) return MHD_NO;
    if (answer.is_last) *request = server;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    const MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

// A request is over: its answer has been sent, or nobody takes it any more.
void note_end(void* server, MHD_Connection*, void** request, MHD_RequestTerminationCode) {
    if (*request) static_cast<PageServer*>(server)->end_was_sent();
}

// In the daemon's thread, which is not made here: it is confined before it reads anything of the first client.
void begin_with_connection(void*, MHD_Connection*, void**, MHD_ConnectionNotificationCode) {
    thread_local bool has_begun = false;
    if (!std::exchange(has_begun, true)) begin_thread(ThreadKind::page_server, "page");
}

// The daemon gets a descriptor of its own, which it closes.
MHD_Daemon* start(const Descriptor& socket, PageServer* server) {
    constexpr unsigned connections = 16, of_one_address = 16, timeout_s = 5;
    MHD_Daemon* daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, nullptr, nullptr, respond, server,
        MHD_OPTION_LISTEN_SOCKET, fcntl(socket.get(), F_DUPFD_CLOEXEC, 0), MHD_OPTION_NOTIFY_CONNECTION,
        begin_with_connection, nullptr, MHD_OPTION_NOTIFY_COMPLETED, note_end, server,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, of_one_address,
        MHD_OPTION_CONNECTION_TIMEOUT, timeout_s, MHD_OPTION_END);
    if (!daemon) throw std::runtime_error("--watch: the server cannot be started");
    return daemon;
}

}  // namespace

PageServer::PageServer(LoopbackListener listener, std::string path)
    : url_(listener.url),
      socket_host_(url_.substr(7, url_.size() - 8)),
      follower_(std::move(path)),
      daemon_(start(listener.socket, this), MHD_stop_daemon) {}

PageServer::~PageServer() {
    constexpr std::chrono::milliseconds longest{2000}, pause{20};
    for (auto waited = pause; is_watched_ && !end_was_sent_ && waited < longest; waited += pause)
        std::this_thread::sleep_for(pause);
}

// A name that leads here from elsewhere (DNS rebinding) would let any page of the web read this one.
PageServer::Answer PageServer::answer(const std::string& method, const std::string& path,
                                      const std::string& host) {
    if (method != "GET" && method != "HEAD")
        return {405, "text/plain; charset=utf-8", "Only GET and HEAD.\n"};
    if (host != socket_host_) return {403, "text/plain; charset=utf-8", "Ask for " + url_ + "\n"};
    if (path != "/" && path != "/contents.json")
        return {404, "text/plain; charset=utf-8", "There is / and /contents.json.\n"};
    const JsonObject contents = follower_.contents();
    if (path == "/") return {200, "text/html; charset=utf-8", html_of(contents)};
    is_watched_ = true;
    return {200, "application/json", contents.dump(-1, ' ', false, JsonObject::error_handler_t::replace),
            follower_.has_ended()};
}

}  // namespace gpremap
