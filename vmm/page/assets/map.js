// The guest-physical map: a strip for each time it was noted, all on one scale, which leaves out what is not mapped.
/* global px, cut, element, text_at, width_of, shown_bytes, shown_address, chart, legend, d3 */

var page_kinds = [['p4k', '4 KiB'], ['p2m', '2 MiB'], ['p1g', '1 GiB']];

// What any of the maps has, as ranges with gaps between them.
function mapped_anywhere(maps) {
    var all = [];
    maps.forEach(function (map) {
        map.extents.forEach(function (extent) { all.push([extent.at, extent.at + extent.size]); });
    });
    all.sort(function (a, b) { return a[0] - b[0]; });
    var ranges = [];
    all.forEach(function (range) {
        var last = ranges[ranges.length - 1];
        if (last && range[0] <= last[1]) last[1] = Math.max(last[1], range[1]);
        else ranges.push(range.slice());
    });
    return ranges;
}

// Small ranges are wider than they are, so that they are seen. Of ranges: `x` and `width` beside their ends.
function laid_out(ranges, width) {
    var gap = Math.min(16, width / (2 * ranges.length + 1)), room = width - gap * (ranges.length - 1);
    var least = Math.min(26, room / ranges.length), total = d3.sum(ranges, function (r) { return r[1] - r[0]; });
    var spare = room - least * ranges.length, x = 0;
    return ranges.map(function (range) {
        var place = {from: range[0], to: range[1], x: x, width: least + spare * (range[1] - range[0]) / total};
        x += place.width + gap;
        return place;
    });
}

function place_of(places, address) {
    for (var i = 0; i < places.length; i++)
        if (address <= places[i].to) return places[i].x + places[i].width * (address - places[i].from) / (places[i].to - places[i].from);
    return 0;
}

function bytes_in(extent) {
    return [extent.pages[0] * 4096, extent.pages[1] * 2097152, extent.pages[2] * 1073741824];
}

// The shares of its page sizes, side by side; that says how many there are, and not where.
function extent_strip(extent, places, top, height) {
    var from = place_of(places, extent.at + 0.5), to = place_of(places, extent.at + extent.size - 0.5), x = from, text = '';
    var sizes = bytes_in(extent), total = sizes[0] + sizes[1] + sizes[2];
    for (var kind = 2; kind >= 0; kind--) {
        if (!sizes[kind]) continue;
        var width = (to - from) * sizes[kind] / total;
        text += element('rect', {x: x, y: top, width: Math.max(width, 0.5), height: height, 'class': 'page'}) +
            element('rect', {x: x, y: top, width: Math.max(width, 0.5), height: height, fill: 'url(#' + page_kinds[kind][0] + ')'});
        x += width;
    }
    text += element('rect', {x: from, y: top, width: Math.max(to - from, 1), height: height, 'class': 'extent'});
    var label = (extent.label ? extent.label + ' ' : '') + shown_bytes(extent.size) + ' ' + extent.prot;
    if (width_of(label) > to - from) label = extent.label || shown_bytes(extent.size);
    var at = Math.min(from, places[places.length - 1].x + places[places.length - 1].width - width_of(label));
    return text + (width_of(label) <= to - from + 12 ? text_at(at, top - 4, label, 'start', 'tick') : '');
}

function summary_of(map) {
    var sums = [0, 0, 0], size = 0, parts = [];
    map.extents.forEach(function (extent) {
        size += extent.size;
        for (var i = 0; i < 3; i++) sums[i] += extent.pages[i];
    });
    for (var i = 2; i >= 0; i--)
        if (sums[i]) parts.push(sums[i] + ' x ' + page_kinds[i][1]);
    return map.extents.length ? shown_bytes(size) + ' mapped' + (parts.length ? ' with ' + parts.join(', ') : '') : 'nothing mapped';
}

function patterns() {
    var dots = element('circle', {cx: 2, cy: 2, r: 1.1, 'class': 'ink'}), lines = element('path', {d: 'M-1,1l2,-2M0,8l8,-8M7,9l2,-2', 'class': 'hatch'});
    return element('defs', {}, element('pattern', {id: 'p4k', width: 4, height: 4, patternUnits: 'userSpaceOnUse'}, dots) +
        element('pattern', {id: 'p2m', width: 8, height: 8, patternUnits: 'userSpaceOnUse'}, lines) +
        element('pattern', {id: 'p1g', width: 8, height: 8, patternUnits: 'userSpaceOnUse'}, element('rect', {width: 8, height: 8, 'class': 'ink'})));
}

function guest_map(page, width) {
    var maps = [], text = patterns();
    page.runs.forEach(function (run) {
        run.maps.forEach(function (map) { maps.push({name: (page.runs.length > 1 ? run.name + ', ' : '') + map.when, map: map}); });
    });
    var ranges = mapped_anywhere(maps.map(function (each) { return each.map; }));
    if (!ranges.length) return null;
    var places = laid_out(ranges, width - 2);
    var key = legend(page_kinds.map(function (kind) { return kind[1] + ' pages'; }), 0, width, 0, function (x, y, i) {
        return element('rect', {x: x, y: y - 7, width: 22, height: 14, 'class': 'page'}) + element('rect', {x: x, y: y - 7, width: 22, height: 14, fill: 'url(#' + page_kinds[i][0] + ')'}) + element('rect', {x: x, y: y - 7, width: 22, height: 14, 'class': 'extent'});
    });
    text += key.text;
    var y = key.height + 14;
    maps.forEach(function (each) {
        text += text_at(0, y, cut(each.name, width, 'title'), 'start', 'title');
        var summary = summary_of(each.map), beside = width_of(each.name, 'title') + width_of(summary) + 30 < width;
        text += text_at(beside ? width - 2 : 0, beside ? y : y + 16, cut(summary, width), beside ? 'end' : 'start', 'tick');
        y += beside ? 24 : 40;
        each.map.extents.forEach(function (extent) { text += extent_strip(extent, places, y, 26); });
        places.forEach(function (place) { text += element('line', {x1: place.x, x2: place.x + place.width, y1: y + 28, y2: y + 28, 'class': 'axis'}); });
        y += 52;
    });
    var taken = -1e9;
    places.forEach(function (place) {
        var label = shown_address(place.from), x = Math.min(place.x, width - width_of(label));
        if (x < taken) return;
        taken = x + width_of(label) + 8;
        text += text_at(Math.max(x, 0), y - 8, label, 'start', 'tick');
    });
    text += text_at(width / 2, y + 12, 'guest-physical address', 'middle', 'title');
    return chart('map', 'Guest-physical map', 'What stage 2 can map with which pages. What is not mapped is left out, and a small range is wider than it is; of a range of several page sizes, the parts are shares.', width, y + 20, text);
}
