// All charts of a page, in its order. `zoom` is a period in ms, or null.
/* global over_time, distribution, call_latencies, medians, guest_map, names_over, svg_of, text_at */

function charts_of(page, width, zoom) {
    var charts = [over_time(page, width, zoom)];
    names_over(page.runs, 'workloads', 'name').forEach(function (name) { charts.push(distribution(page, name, width)); });
    charts.push(call_latencies(page, width), medians(page, width, 'ns'), medians(page, width, 'rate'), guest_map(page, width));
    return charts.filter(function (each) { return each !== null; });
}

// Each as a file of its own, with its title in it: [{name, svg}].
function chart_files(page, width, style) {
    return charts_of(page, width - 32, null).map(function (each) {
        var title = text_at(0, 16, each.title, 'start', 'headline'), inner = '<g transform="translate(16,16)">' + title + '<g transform="translate(0,34)">' + each.text + '</g></g>';
        var paper = '<rect width="100%" height="100%" class="paper"/>';
        each.text = paper + inner;
        each.width = width;
        each.height += 66;
        return {name: each.name.replace(/[^A-Za-z0-9_.-]/g, '_'), svg: svg_of(each, '<style>' + style + '</style>')};
    });
}
