// What all charts have in common: SVG as text, scales and axes. Draws in a browser and in an engine without a document, so
// D3 gives scales, ticks, lines and formats here, and no selection. Written in ECMAScript 5, which is what that engine knows.
/* global d3 */
'use strict';

var most_runs = 6; // that the styles tell apart; those behind begin again

function escaped(text) {
    return String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

function px(value) {
    return isFinite(value) ? Math.round(value * 10) / 10 : 0;
}

// element('rect', {x: 1}, inner) -> '<rect x="1">...</rect>'
function element(name, attributes, inner) {
    var text = '<' + name;
    for (var key in attributes)
        text += ' ' + key + '="' + escaped(typeof attributes[key] === 'number' ? px(attributes[key]) : attributes[key]) + '"';
    return inner === undefined || inner === '' ? text + '/>' : text + '>' + inner + '</' + name + '>';
}

function text_at(x, y, text, anchor, kind) {
    return element('text', {x: x, y: y, 'text-anchor': anchor || 'start', 'class': kind || 'label'}, escaped(text));
}

// About as wide as sans-serif text of 12 pixels is, rather more; titles are bold.
function width_of(text, kind) {
    return String(text).length * (kind === 'title' ? 8 : 7.2);
}

// As much of the text as there is room for, in pixels.
function cut(text, room, kind) {
    text = String(text);
    while (text.length > 1 && width_of(text, kind) > room) text = text.slice(0, -2) + '\u2026';
    return text;
}

// ---- amounts ----

function digits(value) {
    return value >= 100 || value === Math.round(value) ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function scaled(value, units, step) {
    var unit = 0;
    for (; value >= step * 0.9995 && unit + 1 < units.length; unit++) value /= step;
    return digits(value) + ' ' + units[unit];
}

function shown_ns(ns) { return scaled(ns, ['ns', 'us', 'ms', 's'], 1000); }
function shown_bytes(bytes) { return scaled(bytes, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'], 1024); }
function shown_rate(rate, unit) {
    return scaled(rate, [unit, 'k' + unit, 'M' + unit, 'G' + unit, 'T' + unit], 1000).replace(/ $/, '') + '/s';
}
function shown_share(share) { return share >= 1 ? '0 %' : digits_of_share(share) + ' %'; }

// Of the share that takes longer: 0.01 is "99".
function digits_of_share(share) {
    return String(Number((100 - share * 100).toPrecision(6)));
}

// An address as people say it, where it is round: "8 GiB", "8 GiB + 4 MiB", else "0x200001000".
function shown_address(at) {
    var mebi = 1048576, gibi = 1073741824;
    if (at % mebi !== 0 || at === 0) return '0x' + at.toString(16);
    if (at < gibi) return at / mebi + ' MiB';
    return Math.floor(at / gibi) + ' GiB' + (at % gibi === 0 ? '' : ' + ' + at % gibi / mebi + ' MiB');
}

// ---- scales and axes ----

// Of a chart `width` wide: where its panels begin and end.
function sides(width) {
    return {left: width < 560 ? 66 : 72, right: width - 14};
}

// 1, 2 and 5 of each decade where there is room, else decades, else some of them. `values` are above 0.
function log_scale(values, range) {
    var low = d3.min(values) || 1, high = d3.max(values) || 10;
    if (high < low * 4) {
        low /= 2;
        high *= 2;
    }
    return d3.scale.log().domain([low / 1.1, high * 1.1]).range(range);
}

function log_ticks(scale, most) {
    var domain = scale.domain(), steps = [[1, 2, 5], [1, 3], [1]], ticks = [], from = Math.floor(Math.log(domain[0]) / Math.LN10),
        to = Math.ceil(Math.log(domain[1]) / Math.LN10);
    for (var s = 0; s < 6; s++) {
        var of_decade = steps[Math.min(s, 2)], stride = s < 3 ? 1 : s - 1;
        ticks = [];
        for (var decade = from; decade <= to; decade += stride)
            for (var i = 0; i < of_decade.length; i++) {
                var tick = of_decade[i] * Math.pow(10, decade);
                if (tick >= domain[0] && tick <= domain[1]) ticks.push(tick);
            }
        if (ticks.length <= most) break;
    }
    return ticks;
}

// Lines across, with their texts at the left.
function y_axis(scale, ticks, format, left, right) {
    return ticks.map(function (tick) {
        var y = scale(tick);
        return element('line', {x1: left, x2: right, y1: y, y2: y, 'class': 'grid'}) +
            text_at(left - 6, y + 4, format(tick), 'end', 'tick');
    }).join('');
}

function x_axis(scale, ticks, format, top, bottom, title) {
    var range = scale.range(), taken = -1e9, text = '';
    ticks.forEach(function (tick) {
        var x = scale(tick), shown = format(tick), half = width_of(shown) / 2;
        text += element('line', {x1: x, x2: x, y1: top, y2: bottom + 4, 'class': 'grid'});
        if (x - half < taken + 6) return;
        taken = x + half;
        text += text_at(Math.min(x, range[1] + 12 - half), bottom + 17, shown, 'middle', 'tick');
    });
    text += element('line', {x1: range[0], x2: range[1], y1: bottom, y2: bottom, 'class': 'axis'});
    return text + text_at((range[0] + range[1]) / 2, bottom + 34, cut(title, range[1] - range[0], 'title'), 'middle', 'title');
}

// Names with a sample of each, in as many lines as they need; `sample` draws one at (x, y). Returns text and height.
function legend(entries, left, right, top, sample) {
    var x = left, y = top + 9, text = '';
    entries.forEach(function (name, i) {
        var entry = cut(name, right - left - 34);
        var width = 34 + width_of(entry);
        if (x > left && x + width > right) {
            x = left;
            y += 18;
        }
        text += sample(x, y, i) + text_at(x + 28, y + 4, entry);
        x += width + 14;
    });
    return {text: text, height: entries.length ? y - top + 14 : 0};
}

function run_line(points, run, extra) {
    return points.length < 2 ? '' :
        element('path', {d: d3.svg.line()(points.map(function (p) { return [px(p[0]), px(p[1])]; })), 'class': 'line r' + run % most_runs + (extra || '')});
}

function run_legend(page, left, right, top) {
    var names = page.runs.length > 1 ? page.runs.map(function (run) { return run.name; }) : [];
    return legend(names, left, right, top, function (x, y, i) { return run_line([[x, y], [x + 22, y]], i); });
}

// A chart that is done: `name` is that of its file, `text` what it holds, from (0, 0) to (width, height).
function chart(name, title, caption, width, height, text, attributes) {
    return {name: name, title: title, caption: caption, width: Math.round(width), height: Math.ceil(height), text: text, attributes: attributes || {}};
}

function svg_of(chart, style) {
    var attributes = {xmlns: 'http://www.w3.org/2000/svg', viewBox: '0 0 ' + chart.width + ' ' + chart.height, role: 'img',
        width: chart.width, height: chart.height, 'aria-label': chart.title + '. ' + chart.caption, 'class': 'chart'};
    for (var key in chart.attributes) attributes[key] = chart.attributes[key];
    return element('svg', attributes, (style || '') + chart.text);
}
