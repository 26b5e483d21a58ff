#include "vmm/scenario/linux_reading.h"

#include <fmt/format.h>

#include <limits>
#include <map>
#include <set>
#include <variant>

#include "vmm/config/config_errors.h"
#include "vmm/guests/agent/orders.h"
#include "vmm/scenario/resize_reading.h"

namespace gpremap {
namespace {

std::string read_name_of_ram(const TomlTable& table) {
    const TomlValue value = table.at("name", "a name for this RAM");
    if (value.text().empty()) value.expected("a name");
    return value.text();
}

// What runs beside the others until they have ended can be followed by nothing.
class BackgroundChecks {
  public:
    void add(const ScenarioStep& step) {
        if (const auto* repeat = std::get_if<RepeatAction>(&step.action)) {
            for (const ScenarioStep& inner : repeat->steps)
                if (is_background(inner)) fail(inner, "expected it outside of a repeat");
            for (const ScenarioStep& inner : repeat->steps) add(inner);
            return;
        }
        if (auto last = last_of_.find(step.track_number); last != last_of_.end())
            fail(*last->second,
                 fmt::format("the step of line {} follows it on its track, and would never begin",
                             step.place.line));
        if (!is_background(step)) return;
        if (step.track_number == 0) fail(step, "expected a `track`, or a `during`, and a `vcpu` of its own");
        last_of_[step.track_number] = &step;
    }

  private:
    [[noreturn]] static void fail(const ScenarioStep& step, const std::string& problem) {
        std::get<CommandAction>(step.action)
            .place.fail("this command runs until all other steps have ended: " + problem);
    }

    std::map<size_t, const ScenarioStep*> last_of_;  // of a track
};

class LinuxChecks {
  public:
    explicit LinuxChecks(const Scenario& scenario) : is_linux_(scenario.machine.guest == GuestKind::linux) {}

    void check(const std::vector<ScenarioStep>& steps) {
        for (const ScenarioStep& step : steps)
            errors_.collect([&] { std::visit([&](const auto& action) { check(action); }, step.action); });
    }
    void throw_if_any() const { errors_.throw_if_any(); }

  private:
    void check(const RepeatAction& repeat) { check(repeat.steps); }
    void check(const PlugAction& plug) {
        require_linux(plug.place);
        plugged_.insert(plug.name);
    }
    void check(const UnplugAction& unplug) {
        require_linux(unplug.place);
        if (!plugged_.contains(unplug.name))
            unplug.place.fail(fmt::format("no earlier step plugs '{}'", unplug.name));
    }
    void check(const CommandAction& command) { require_linux(command.place); }
    void check(const auto&) {}

    void require_linux(const TomlPlace& place) const {
        if (!is_linux_)
            place.fail("only a Linux guest does this: set vm.guest = \"linux\", or use --guest linux");
    }

    const bool is_linux_;
    std::set<std::string> plugged_;
    ConfigErrors errors_;
};

}  // namespace

PlugAction read_plug(const TomlValue& value) {
    const TomlTable table = value.table();
    table.only({"size", "name"});
    PlugAction action;
    action.place = value.place();
    const TomlValue size = table.at("size", "how much");
    action.size = size.size();
    if (action.size == 0) size.expected("more than 0");
    action.name = read_name_of_ram(table);
    return action;
}

UnplugAction read_unplug(const TomlValue& value) {
    const TomlTable table = value.table();
    table.only({"name", "size", "within", "partly"});
    UnplugAction action;
    action.place = value.place();
    action.name = read_name_of_ram(table);
    if (auto size = table.find("size")) {
        action.size = size->size();
        if (*action.size == 0) size->expected("more than 0");
    }
    if (auto within = table.find("within")) action.within = read_deadline(*within);
    action.partly = table.boolean_or("partly", false);
    return action;
}

CommandAction read_command(const TomlValue& value) {
    const TomlTable table = value.table();
    table.only({"run", "expect_status", "background"});
    CommandAction action;
    action.place = value.place();
    const TomlValue run = table.at("run", "a command of the shell");
    action.run = run.text();
    if (action.run.empty() || action.run.size() >= Orders::longest_command)
        run.expected(fmt::format("a command of 1 to {} bytes", Orders::longest_command - 1));
    if (auto status = table.find("expect_status")) {
        if (status->is_text() && status->text() == "any")
            action.status.reset();
        else
            action.status = static_cast<int64_t>(status->integer_in(0, 255));
    }
    action.background = table.boolean_or("background", false);
    return action;
}

void check_linux_steps(const Scenario& scenario) {
    LinuxChecks checks(scenario);
    checks.check(scenario.steps);
    checks.throw_if_any();
    BackgroundChecks background;
    for (const ScenarioStep& step : scenario.steps) background.add(step);
}

}  // namespace gpremap
