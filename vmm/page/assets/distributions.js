// Latencies: of operations as distributions, of calls by size.
/* global d3, px, element, text_at, width_of, shown_ns, shown_bytes, shown_share, sides, log_scale, log_ticks, y_axis, x_axis, legend, run_line, run_legend, chart, most_runs, names_over */

var least_share = 1e-4; // of operations that take longer: the 99.99th percentile

function distribution_named(run, name) {
    for (var i = 0; i < run.workloads.length; i++)
        if (run.workloads[i].name === name) return run.workloads[i];
    return null;
}

// From the shortest to the first that at most least_share take longer than, in steps.
function cdf_points(cdf, x, y) {
    var points = [], above = 1;
    for (var i = 0; i < cdf.length; i++) {
        points.push([x(cdf[i][0]), y(Math.max(above, least_share))]);
        above = cdf[i][1];
        points.push([x(cdf[i][0]), y(Math.max(above, least_share))]);
        if (above <= least_share) break;
    }
    return points;
}

function end_of(cdf) {
    for (var i = 0; i < cdf.length; i++)
        if (cdf[i][1] <= least_share) return cdf[i][0];
    return cdf.length ? cdf[cdf.length - 1][0] : 0;
}

// Where it is not in the way of the other line, and not cut off.
function label_at_end(end, name, side) {
    var fits = end[0] + 8 + width_of(name) < side.right;
    return text_at(end[0] + (fits ? 8 : -8), end[1] + (name === 'no call' ? 14 : 28), name, fits ? 'start' : 'end');
}

function distribution(page, name, width) {
    var side = sides(width), all = [], lines = [];
    page.runs.forEach(function (run, i) {
        var of_run = distribution_named(run, name);
        if (!of_run) return;
        ['quiet', 'beside'].forEach(function (kind) {
            if (!of_run[kind].length) return;
            lines.push({run: i, kind: kind, cdf: of_run[kind]});
            all.push(Math.max(of_run[kind][0][0], 1), Math.max(end_of(of_run[kind]), 1));
        });
    });
    if (!lines.length) return null;
    var names = lines.map(function (line) {
        return (page.runs.length > 1 ? page.runs[line.run].name + ', ' : '') + (line.kind === 'quiet' ? 'no call' : 'beside calls');
    });
    var extra = function (line) { return line.kind === 'quiet' ? '' : ' beside'; };
    var key = legend(names, side.left, side.right, 0, function (x, y, i) { return run_line([[x, y], [x + 22, y]], lines[i].run, extra(lines[i])); });
    var top = key.height + 26, bottom = top + (width < 560 ? 190 : 230);
    var x = log_scale(all, [side.left, side.right]);
    var y = d3.scale.log().domain([1, least_share]).range([bottom, top]);
    var text = y_axis(y, [1, 0.5, 0.1, 0.01, 0.001, 0.0001], shown_share, side.left, side.right);
    text += x_axis(x, log_ticks(x, (side.right - side.left) / 62), shown_ns, top, bottom, name + ': an operation takes up to');
    lines.forEach(function (line) {
        var points = cdf_points(line.cdf, x, y), last = points[points.length - 1];
        text += run_line(points, line.run, extra(line));
        text += element('circle', {cx: last[0], cy: last[1], r: 3.5, 'class': 'f' + line.run % most_runs});
        if (page.runs.length === 1) text += label_at_end(last, names[lines.indexOf(line)], side);
    });
    text += text_at(0, top - 14, 'share of operations', 'start', 'title');
    return chart('latency-' + name, 'Latencies of ' + name, 'Thin: operations that overlap no call; thick: those that do. The farther to the left, the faster.',
        width, bottom + 42, key.text + text);
}

var symbols = ['circle', 'square', 'diamond', 'triangle-up', 'cross', 'triangle-down'];

function symbol_at(x, y, kind, run, size) {
    return element('path', {transform: 'translate(' + px(x) + ',' + px(y) + ')', d: d3.svg.symbol().type(symbols[kind % symbols.length]).size(size)(), 'class': 'dot r' + run % most_runs});
}

function sized_calls(run) {
    return run.calls.filter(function (call) { return call.bytes > 0 && call.ns > 0; });
}

function call_latencies(page, width) {
    var side = sides(width), sizes = [], times = [];
    page.runs.forEach(function (run) {
        sized_calls(run).forEach(function (call) {
            sizes.push(call.bytes);
            times.push(call.ns);
        });
    });
    if (!sizes.length) return null;
    var kinds = names_over(page.runs.map(function (run) { return {calls: sized_calls(run)}; }), 'calls', 'call');
    var key = run_legend(page, side.left, side.right, 0);
    var shapes = legend(kinds, side.left, side.right, key.height, function (x, y, i) { return symbol_at(x + 14, y, i, 0, 60); });
    var top = key.height + shapes.height + 26, bottom = top + (width < 560 ? 190 : 230);
    var x = log_scale(sizes, [side.left + 8, side.right - 8]), y = log_scale(times, [bottom, top]), ticks = [];
    for (var power = 0; power < 63; power += 1)
        if (Math.pow(2, power) >= x.domain()[0] && Math.pow(2, power) <= x.domain()[1]) ticks.push(Math.pow(2, power));
    var text = y_axis(y, log_ticks(y, 6), shown_ns, side.left, side.right) + x_axis(x, ticks, shown_bytes, top, bottom, 'size of what the call is about');
    page.runs.forEach(function (run, i) {
        sized_calls(run).forEach(function (call) {
            text += symbol_at(x(call.bytes) + (i - (page.runs.length - 1) / 2) * 9, y(call.ns), kinds.indexOf(call.call), i, 36);
        });
    });
    text += text_at(0, top - 14, 'a call takes', 'start', 'title');
    return chart('calls-by-size', 'Calls by size', 'A mark for each call, from the exit of the guest to its entry.', width, bottom + 42, key.text + shapes.text + text);
}
