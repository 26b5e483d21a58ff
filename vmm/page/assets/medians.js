// Of benches and merged results: a row for each metric, in it for each run the median and its interval.
/* global element, text_at, cut, shown_ns, shown_rate, log_scale, log_ticks, x_axis, run_legend, chart, most_runs, names_over */

function medians_of(page, unit) {
    return page.runs.map(function (run) {
        return {metrics: run.metrics.filter(function (metric) { return metric.unit === unit && metric.median > 0; })};
    });
}

function median_mark(metric, x, y, run) {
    var low = x(Math.max(metric.low, x.domain()[0])), high = x(Math.max(metric.high, x.domain()[0])), at = x(metric.median);
    return element('line', {x1: low, x2: high, y1: y, y2: y, 'class': 'line r' + run % most_runs}) +
        element('circle', {cx: at, cy: y, r: 4, 'class': 'f' + run % most_runs});
}

function medians(page, width, unit) {
    var runs = medians_of(page, unit), names = names_over(runs, 'metrics', 'name'), values = [];
    if (!names.length) return null;
    runs.forEach(function (run) {
        run.metrics.forEach(function (metric) { values.push(metric.median, metric.high, Math.max(metric.low, metric.median / 1000)); });
    });
    var shown = unit === 'ns' ? shown_ns : function (rate) { return shown_rate(rate, ''); };
    var key = run_legend(page, 8, width - 14, 0), x = log_scale(values, [12, width - 24]), top = key.height + 4, y = top, text = '';
    names.forEach(function (name) {
        text += text_at(8, y + 13, cut(name, width - 16));
        y += 22;
        runs.forEach(function (run, i) {
            run.metrics.forEach(function (metric) { if (metric.name === name) text += median_mark(metric, x, y, i); });
            y += 10;
        });
    });
    var axis = x_axis(x, log_ticks(x, (width - 40) / 70), shown, top, y, unit === 'ns' ? 'time' : 'operations a second');
    return chart('medians-' + unit, unit === 'ns' ? 'Medians of times' : 'Medians of rates', 'A mark for each median, with its 95 % interval.', width, y + 42, key.text + axis + text);
}
