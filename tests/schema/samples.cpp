// Writes what a run leaves behind, for schema_test.py: samples RESULT JOURNAL
#include <fstream>

#include "tests/schema/full_result.h"
#include "vmm/report/json.h"
#include "vmm/report/run_journal.h"

int main(int, char** argv) {
    using namespace gpremap;
    const RunResult run = full_result();
    std::ofstream(argv[1]) << text_of(run, Ended::by_itself);
    RunJournal journal(argv[2]);
    journal.begin(run);
    journal.note("one");
    journal.warning("two");
    for (const StepResult& step : run.steps) journal.step(step, 2);
    journal.sample(run.series[0], 0);
    journal.map(run.map, 5);
    journal.end(run, false);
}
