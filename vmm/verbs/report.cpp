// `gpremap report RESULT... -o DIR`: a page of what one or more runs came to.
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "vmm/base/errors.h"
#include "vmm/base/json_file.h"
#include "vmm/base/output_file.h"
#include "vmm/page/charts.h"
#include "vmm/page/contents.h"
#include "vmm/page/html.h"
#include "vmm/page/markdown.h"
#include "vmm/page/png.h"
#include "vmm/page/reading.h"
#include "vmm/verbs/options.h"
#include "vmm/verbs/verb.h"

namespace gpremap {

namespace {

struct ReportOptions {
    std::vector<std::string> results;
    std::string folder;
    bool svg = false, png = false, markdown = false;
};

using Files = std::vector<std::pair<std::string, std::string>>;  // name and text

// All that there is to write, before any of it is written. Throws ConfigError, HostLacks.
Files files_of(const ReportOptions& options) {
    const std::vector<ShownRun> runs = read_shown_runs(options.results);
    JsonObject contents;
    try {
        contents = contents_of(runs, Following::no);
    } catch (const JsonObject::exception& error) {
        throw ConfigError(fmt::format("{}: expected what the schemas of docs/schema say ({})",
                                      fmt::join(options.results, ", "), error.what()));
    }
    Files files = {{"report.html", html_of(contents)}};
    if (options.markdown) files.push_back({"report.md", markdown_of(contents)});
    if (!options.svg && !options.png) return files;
    for (const ChartFile& chart : charts_of(contents)) {
        if (options.svg) files.push_back({chart.name + ".svg", chart.svg});
        if (options.png) files.push_back({chart.name + ".png", png_of(chart.svg)});
    }
    return files;
}

void make_folder(const std::string& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error || !std::filesystem::is_directory(folder))
        throw ConfigError(fmt::format("-o {}: expected a folder, or the name of one to be made: {}", folder,
                                      error ? error.message() : "it is a file"));
}

// Returns 0; 2 where a file cannot be written.
int report(const ReportOptions& options, std::ostream& out) {
    const Files files = files_of(options);
    make_folder(options.folder);
    std::vector<OutputFile> targets;
    for (const auto& [name, text] : files)
        targets.emplace_back("-o", (std::filesystem::path(options.folder) / name).string());
    for (size_t i = 0; i < files.size(); i++) {
        const int status = write_result(targets[i], files[i].second, 0);
        if (status != 0) return status;
        fmt::print(out, "{}\n", (std::filesystem::path(options.folder) / files[i].first).string());
    }
    return 0;
}

}  // namespace

void add_report(Program& program) {
    CLI::App& verb = program.add_verb("report", "write a page with charts of what runs came to");
    auto options = std::make_shared<ReportOptions>();
    verb.add_option(
            "RESULT", options->results,
            "results of run, merge or bench, or journals of runs; several are drawn over each other, and the "
            "first is the baseline")
        ->required();
    verb.add_option("-o,--output", options->folder, "the folder that the files go to")
        ->type_name("DIR")
        ->required();
    verb.add_flag("--svg", options->svg, "also each chart as SVG");
    verb.add_flag("--png", options->png, "also each chart as PNG (needs rsvg-convert)");
    verb.add_flag("--markdown", options->markdown, "also the tables as Markdown");
    verb.callback([&program, options] {
        program.work = [&program, options] { return report(*options, for_people("", program.log)); };
    });
}

}  // namespace gpremap
