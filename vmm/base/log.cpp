#include "vmm/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "vmm/base/errors.h"

namespace gpremap {

namespace {

spdlog::level::level_enum level_of(const LogOptions& options) {
    if (options.quiet) return spdlog::level::err;
    switch (options.verbose) {
        case 0:
            return spdlog::level::warn;
        case 1:
            return spdlog::level::info;
        case 2:
            return spdlog::level::debug;
        default:
            return spdlog::level::trace;
    }
}

std::shared_ptr<spdlog::sinks::sink> open_file(const std::string& path) {
    // spdlog would make the folder, too: a mistake in the path is to be found.
    if (!std::ofstream(path, std::ios::app))
        throw ConfigError("--log " + path + ": cannot be written; give a path that can");
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    sink->set_level(spdlog::level::trace);
    return sink;
}

}  // namespace

void set_up_log(const LogOptions& options) {
    auto terminal = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    terminal->set_level(level_of(options));
    terminal->set_pattern("gpremap: %^%l%$: %v");
    auto logger = std::make_shared<spdlog::logger>("gpremap", terminal);
    logger->set_level(level_of(options));
    if (!options.file.empty()) {
        logger->sinks().push_back(open_file(options.file));
        // A file holds more than a terminal: debug unless even more was asked for.
        logger->set_level(std::min(level_of(options), spdlog::level::debug));
        logger->flush_on(spdlog::level::debug);
    }
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace gpremap
