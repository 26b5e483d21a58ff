// All charts of a page, in its order.
/* global over_time, distribution, call_latencies, medians, guest_map, names_over, svg_of, text_at */

// Each with the name of its chart; `make` gives null where there is nothing to draw. `zoom` is a period in ms, or null.
function chart_makers(page) {
    var makers = [{name: 'over-time', make: function (width, zoom) { return over_time(page, width, zoom); }}];
    names_over(page.runs, 'workloads', 'name').forEach(function (name) {
        makers.push({name: 'latency-' + name, make: function (width) { return distribution(page, name, width); }});
    });
    makers.push({name: 'calls-by-size', make: function (width) { return call_latencies(page, width); }},
        {name: 'medians-ns', make: function (width) { return medians(page, width, 'ns'); }},
        {name: 'medians-rate', make: function (width) { return medians(page, width, 'rate'); }},
        {name: 'map', make: function (width) { return guest_map(page, width); }});
    return makers;
}

// Each as a file of its own, with its title in it: [{name, svg}].
function chart_files(page, width, style) {
    var charts = chart_makers(page).map(function (maker) { return maker.make(width - 32, null); });
    return charts.filter(function (each) { return each !== null; }).map(function (each) {
        var title = text_at(0, 16, each.title, 'start', 'headline'), inner = '<g transform="translate(16,16)">' + title + '<g transform="translate(0,34)">' + each.text + '</g></g>';
        var paper = '<rect width="100%" height="100%" class="paper"/>';
        each.text = paper + inner;
        each.width = width;
        each.height += 66;
        return {name: each.name.replace(/[^A-Za-z0-9_.-]/g, '_'), svg: svg_of(each, '<style>' + style + '</style>')};
    });
}
