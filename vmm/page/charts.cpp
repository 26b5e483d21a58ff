#include "vmm/page/charts.h"

#include <duktape.h>

#include <memory>
#include <stdexcept>
#include <string_view>

#include "vmm/page/assets.h"

namespace gpremap {

namespace {

constexpr int chart_width = 900;  // pixels

class Engine {
  public:
    Engine() : heap_(duk_create_heap_default(), duk_destroy_heap) {
        if (!heap_) throw std::bad_alloc();
    }

    // As a browser runs a script, and not as eval() does: what it defines stays defined.
    void run(std::string_view script) {
        if (duk_pcompile_lstring(heap_.get(), 0, script.data(), script.size()) != 0) fail();
        if (duk_pcall(heap_.get(), 0) != 0) fail();
        duk_pop(heap_.get());
    }

    // What `function` returns for `argument`, both JSON.
    JsonObject call(const std::string& function, const JsonObject& argument) {
        const std::string text = argument.dump(-1, ' ', false, JsonObject::error_handler_t::replace);
        duk_get_global_lstring(heap_.get(), function.data(), function.size());
        duk_push_lstring(heap_.get(), text.data(), text.size());
        if (duk_pcall(heap_.get(), 1) != 0) fail();
        JsonObject result = JsonObject::parse(duk_safe_to_string(heap_.get(), -1));
        duk_pop(heap_.get());
        return result;
    }

  private:
    [[noreturn]] void fail() {
        throw std::runtime_error(std::string("drawing a chart: ") + duk_safe_to_stacktrace(heap_.get(), -1));
    }

    std::unique_ptr<duk_context, void (*)(duk_context*)> heap_;
};

}  // namespace

std::vector<ChartFile> charts_of(const JsonObject& contents) {
    Engine engine;
    engine.run(asset_d3());
    engine.run(asset_charts_js());
    engine.run(R"(function files(text) {
        var job = JSON.parse(text);
        return JSON.stringify(chart_files(job.page, job.width, job.style));
    })");
    const JsonObject drawn = engine.call(
        "files", {{"page", contents}, {"width", chart_width}, {"style", std::string(asset_chart_css())}});
    std::vector<ChartFile> files;
    for (const JsonObject& chart : drawn) files.push_back({chart.at("name"), chart.at("svg")});
    return files;
}

}  // namespace gpremap
