// Throughput and the longest operations over time, with the calls.
/* global d3, px, cut, width_of, element, text_at, shown_ns, shown_rate, sides, log_scale, log_ticks, y_axis, x_axis, run_line, run_legend, chart, most_runs */

function names_over(runs, list, key) {
    var names = [];
    runs.forEach(function (run) {
        run[list].forEach(function (each) {
            if (names.indexOf(each[key]) < 0) names.push(each[key]);
        });
    });
    return names;
}

function series_named(run, name) {
    for (var i = 0; i < run.series.length; i++)
        if (run.series[i].workload === name) return run.series[i];
    return null;
}

// From when to when, in ms: all there is, or what the reader has zoomed to.
function period_of(page, zoom) {
    if (zoom) return zoom;
    var end = 0;
    page.runs.forEach(function (run) {
        run.series.forEach(function (series) { end = Math.max(end, series.t_ms[series.t_ms.length - 1] || 0); });
        run.calls.forEach(function (call) { end = Math.max(end, call.end_ms); });
    });
    return [0, end || 1];
}

// A column for each pixel at most, with the least, the most and the longest of it: so that no stall is hidden.
function columns_of(series, x) {
    var columns = [], range = x.range(), last = null;
    for (var i = 0; i < series.t_ms.length; i++) {
        var from = x(i > 0 ? series.t_ms[i - 1] : series.t_ms[0]), to = x(series.t_ms[i]);
        if (to < range[0] || from > range[1]) continue;
        from = Math.max(from, range[0]);
        to = Math.min(to, range[1]);
        if (last && Math.floor(last.from) === Math.floor(to)) {
            var share = (to - last.to) / Math.max(to - last.from, 1e-9);
            last.rate += (series.rate[i] - last.rate) * share;
            last.low = Math.min(last.low, series.low[i]);
            last.high = Math.max(last.high, series.high[i]);
            last.longest = Math.max(last.longest, series.max_ns[i]);
            last.to = to;
        } else {
            last = {from: from, to: to, rate: series.rate[i], low: series.low[i], high: series.high[i], longest: series.max_ns[i]};
            columns.push(last);
        }
    }
    return columns;
}

// A rate holds for all of its column: the line goes in steps.
function steps_through(columns, value) {
    var points = [];
    columns.forEach(function (column) {
        points.push([column.from, value(column)], [column.to, value(column)]);
    });
    return points;
}

function range_behind(columns, y, run) {
    if (columns.length < 1) return '';
    var upper = steps_through(columns, function (c) { return y(c.high); });
    var lower = steps_through(columns, function (c) { return y(c.low); }).reverse();
    return element('path', {d: d3.svg.line()(upper.concat(lower).map(function (p) { return [px(p[0]), px(p[1])]; })) + 'Z', 'class': 'range f' + run % most_runs});
}

function titled(name, what, room) {
    return cut(name, room - width_of(': ' + what, 'title'), 'title') + ': ' + what;
}

function throughput_panel(page, name, x, top, height) {
    var shown = [], unit = '', most = 0;
    page.runs.forEach(function (run, i) {
        var series = series_named(run, name);
        if (!series) return;
        unit = series.unit;
        most = Math.max(most, d3.max(series.high) || 0);
        shown.push({run: i, columns: columns_of(series, x)});
    });
    var range = x.range(), y = d3.scale.linear().domain([0, most || 1]).range([top + height, top]).nice(5);
    var text = y_axis(y, y.ticks(4), function (v) { return shown_rate(v, unit); }, range[0], range[1]);
    shown.forEach(function (each) { text += range_behind(each.columns, y, each.run); });
    shown.forEach(function (each) { text += run_line(steps_through(each.columns, function (c) { return y(c.rate); }), each.run); });
    return text + text_at(0, top - 12, titled(name, (unit ? 'bytes' : 'operations') + ' a second', range[1]), 'start', 'title');
}

function longest_panel(page, name, x, top, height) {
    var shown = [], all = [];
    page.runs.forEach(function (run, i) {
        var series = series_named(run, name);
        if (!series) return;
        var columns = columns_of(series, x).filter(function (c) { return c.longest > 0; });
        shown.push({run: i, columns: columns});
        all = all.concat(columns.map(function (c) { return c.longest; }));
    });
    if (!all.length) return '';
    var range = x.range(), y = log_scale(all, [top + height, top]);
    var text = y_axis(y, log_ticks(y, 4), shown_ns, range[0], range[1]);
    shown.forEach(function (each) { text += run_line(steps_through(each.columns, function (c) { return y(c.longest); }), each.run, ' thin'); });
    return text + text_at(0, top - 12, titled(name, 'longest operation of a sample', range[1]), 'start', 'title');
}

// A lane for each kind of call, in it one for each run.
function call_lanes(page, kinds, x, top) {
    var height = Math.max(5, 14 / page.runs.length), range = x.range(), text = '', y = top;
    kinds.forEach(function (kind) {
        text += text_at(range[0] - 6, y + height * page.runs.length / 2 + 4, cut(kind, range[0] - 6), 'end', 'tick');
        page.runs.forEach(function (run, i) {
            var last = -1e9;
            run.calls.forEach(function (call) {
                var from = x(call.begin_ms), to = x(call.end_ms);
                if (call.call !== kind || to < range[0] || from > range[1] || to < last + 1.5) return;
                from = Math.max(from, range[0], last);
                to = Math.min(Math.max(to, from + 2), range[1]);
                last = to;
                text += element('rect', {x: from, y: y, width: Math.max(to - from, 0.5), height: height - 1, 'class': 'mark f' + i % most_runs});
            });
            y += height;
        });
        text += element('line', {x1: range[0], x2: range[1], y1: y + 2, y2: y + 2, 'class': 'grid'});
        y += 6;
    });
    return {text: text, bottom: y};
}

// The calls through the panels above their lanes. Of one run only: those of several would hide the curves.
function call_bands(page, x, top, bottom) {
    var range = x.range(), last = -1e9, text = '';
    if (page.runs.length > 1) return '';
    page.runs[0].calls.forEach(function (call) {
        var from = Math.max(x(call.begin_ms), range[0]), to = Math.min(x(call.end_ms), range[1]);
        if (to < from || to < last + 1.5) return;
        from = Math.max(from, last);
        last = Math.max(to, from + 1);
        text += element('rect', {x: from, y: top, width: last - from, height: bottom - top, 'class': 'band'});
    });
    return text;
}

function over_time(page, width, zoom) {
    var names = names_over(page.runs, 'series', 'workload'), kinds = names_over(page.runs, 'calls', 'call');
    if (!names.length && !kinds.length) return null;
    var side = sides(width), period = period_of(page, zoom), panels = '';
    var x = d3.scale.linear().domain(period).range([side.left, side.right]);
    var key = run_legend(page, side.left, side.right, 0), y = key.height + 26, begin = y, high = width < 560 ? 120 : 150;
    names.forEach(function (name) {
        panels += throughput_panel(page, name, x, y, high);
        y += high + 34;
        var longest = longest_panel(page, name, x, y, 64);
        panels += longest;
        y += longest ? 64 + 34 : 0;
    });
    y -= names.length ? 20 : 0;
    if (kinds.length) panels += text_at(0, y, 'calls', 'start', 'title');
    var lanes = call_lanes(page, kinds, x, y + 8);
    y = lanes.bottom + 2;
    var in_seconds = period[1] - period[0] > 2000, unit = in_seconds ? 1000 : 1;
    var axis = x_axis(x, x.ticks(Math.max(3, Math.floor((side.right - side.left) / 90))), function (t) { return String(Number((t / unit).toPrecision(6))); }, y - 4, y, 'time since the first step, ' + (in_seconds ? 's' : 'ms'));
    var title = names.length ? 'Throughput over time, with the calls' : 'Calls over time';
    return chart('over-time', title, names.length ? 'Grey, and in the lanes below: a call from its begin to its end. A pale area spans the slowest and the fastest sample of each point.' : 'A mark for each call, from its begin to its end.',
        width, y + 42, key.text + call_bands(page, x, begin, y) + panels + lanes.text + axis,
        {'data-left': px(side.left), 'data-right': px(side.right), 'data-from': period[0], 'data-to': period[1]});
}
