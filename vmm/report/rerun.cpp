#include "vmm/report/rerun.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "vmm/base/errors.h"
#include "vmm/base/json_reading.h"
#include "vmm/base/text_file.h"

namespace gpremap {

namespace {

// Reads values, and says of what is not there, or not as this program writes it, where.
class Reader {
  public:
    explicit Reader(std::string file) : file_(std::move(file)) {}

    [[noreturn]] void fail(const std::string& what) const { throw ConfigError(file_ + ": " + what); }

    JsonObject parse() const {
        try {
            return parse_json(read_text(file_, largest_result), file_);
        } catch (const nlohmann::json::parse_error& error) {
            fail(fmt::format(
                "not a whole result: expected JSON up to the end, and at byte {} it is none; was it cut "
                "in the middle?",
                error.byte));
        }
    }

    // The value at `pointer`, such as "/provenance/scenario".
    const JsonObject& at(const JsonObject& result, const std::string& pointer) const {
        const JsonObject::json_pointer place(pointer);
        if (!result.contains(place))
            fail(fmt::format("no '{}': expected a result of `gpremap run`", pointer));
        return result.at(place);
    }

    std::string text(const JsonObject& result, const std::string& pointer) const {
        const JsonObject& value = at(result, pointer);
        if (!value.is_string()) fail(fmt::format("'{}': expected a text", pointer));
        return value;
    }

    std::optional<uint64_t> bytes(const JsonObject& result, const std::string& pointer) const {
        const JsonObject& value = at(result, pointer);
        if (value.is_null()) return std::nullopt;
        if (!value.is_number_unsigned())
            fail(fmt::format("'{}': expected a number of bytes or null", pointer));
        return value.get<uint64_t>();
    }

    template <typename T>
    std::optional<T> choice(const JsonObject& result, const std::string& pointer,
                            std::span<const std::pair<std::string_view, T>> names) const {
        if (at(result, pointer).is_null()) return std::nullopt;
        const std::string name = text(result, pointer);
        for (const auto& [known, value] : names)
            if (known == name) return value;
        fail(fmt::format("'{}': '{}' is not known to this version of the program", pointer, name));
    }

  private:
    const std::string file_;
};

Overrides read_options(const Reader& reader, const JsonObject& result) {
    const std::string options = "/provenance/scenario/options/";
    return {.backing = reader.choice<Backing>(result, options + "backing", backing_names),
            .mechanism = reader.choice<Mechanism>(result, options + "mechanism", mechanism_names),
            .granule = reader.bytes(result, options + "granule"),
            .pool = reader.bytes(result, options + "pool")};
}

ParameterValue read_value(const Reader& reader, const std::string& name, const JsonObject& value) {
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_integer()) return value.get<int64_t>();
    if (value.is_number()) return value.get<double>();
    if (value.is_string()) return value.get<std::string>();
    reader.fail(fmt::format("'/parameters/{}': expected a text, a number, true or false", name));
}

std::vector<ParameterSetting> read_settings(const Reader& reader, const JsonObject& result,
                                            const std::string& path) {
    std::vector<ParameterSetting> settings;
    for (const auto& [name, value] : reader.at(result, "/parameters").items())
        settings.push_back({name, {read_value(reader, name, value)}, false, path + ": /parameters/" + name});
    return settings;
}

}  // namespace

ScenarioSource read_rerun(const std::string& path) {
    const Reader reader(path);
    const JsonObject result = reader.parse();
    if (const std::string schema = reader.text(result, "/schema"); schema != "gpremap.run/1")
        reader.fail(fmt::format("expected schema gpremap.run/1, got '{}'", schema));
    ScenarioSource rerun;
    rerun.file = reader.text(result, "/provenance/scenario/file");
    rerun.text = reader.text(result, "/provenance/scenario/text");
    if (sha256_of(rerun.text) != reader.text(result, "/provenance/scenario/sha256"))
        reader.fail("'/provenance/scenario/text' has not the stated sha256: it has been changed");
    rerun.overrides = read_options(reader, result);
    rerun.overrides.parameters = read_settings(reader, result, path);
    return rerun;
}

}  // namespace gpremap
