#include "vmm/base/log.h"

#include <fcntl.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>

#include "vmm/base/descriptor.h"
#include "vmm/base/errors.h"
#include "vmm/base/terminal.h"

namespace gpremap {

namespace {

spdlog::level::level_enum level_of(const LogOptions& options) {
    if (options.quiet) return spdlog::level::err;
    switch (options.verbose) {
        case 0:
            return spdlog::level::warn;
        case 1:
            return spdlog::level::info;
        default:
            return spdlog::level::debug;
    }
}

// spdlog's own makes folders, so that a mistake in the path is not found, and goes on without a word where the
// file takes no more.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit FileSink(const std::string& path)
        : path_(path), file_(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) {
        if (!file_.valid()) problem_ = std::strerror(errno);
    }

    std::string problem() {
        std::lock_guard lock(mutex_);
        return problem_.empty() ? "" : "--log " + path_ + ": cannot be written: " + problem_;
    }

  private:
    void sink_it_(const spdlog::details::log_msg& message) override {
        if (!problem_.empty()) return;
        spdlog::memory_buf_t text;
        formatter_->format(message, text);
        for (size_t done = 0; done < text.size();) {
            const ssize_t written = write(file_.get(), text.data() + done, text.size() - done);
            if (written >= 0) {
                done += static_cast<size_t>(written);
            } else if (errno != EINTR) {
                problem_ = std::strerror(errno);
                return;
            }
        }
    }
    void flush_() override {}

    const std::string path_;
    const Descriptor file_;
    std::string problem_;  // why the file has not all
};

std::shared_ptr<FileSink> log_file;

}  // namespace

void set_up_log(const LogOptions& options) {
    auto terminal = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    terminal->set_level(level_of(options));
    if (colour_for(STDERR_FILENO) == Colour::none) terminal->set_color_mode(spdlog::color_mode::never);
    terminal->set_pattern("gpremap: %^%l%$: %v");
    auto logger = std::make_shared<spdlog::logger>("gpremap", terminal);
    logger->set_level(level_of(options));
    if (!options.file.empty()) {
        log_file = std::make_shared<FileSink>(options.file);
        logger->sinks().push_back(log_file);
        // A file holds more than a terminal: debug unless even more was asked for.
        logger->set_level(std::min(level_of(options), spdlog::level::debug));
        // The first line, so that a file that takes nothing is found before anything runs.
        logger->debug("gpremap " GPREMAP_VERSION);
        if (const std::string problem = log_problem(); !problem.empty()) throw ConfigError(problem);
    }
    spdlog::set_default_logger(std::move(logger));
}

std::string log_problem() {
    return log_file ? log_file->problem() : "";
}

}  // namespace gpremap
