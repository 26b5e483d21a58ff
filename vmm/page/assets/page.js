// Writes the page from its contents, draws its charts as wide as there is room, and follows a run that goes on.
/* global chart_makers, svg_of, escaped, shown_rate, shown_ns */
(function () {
    var page = JSON.parse(document.getElementById('contents').textContent);
    var main = document.querySelector('main'), makers = [], zoom = null, drawn_width = 0;

    function table_of(table, kind) {
        var row = function (cells, tag) {
            return '<tr>' + cells.map(function (cell) { return '<' + tag + '>' + escaped(cell) + '</' + tag + '>'; }).join('') + '</tr>';
        };
        return '<div class="scroll" tabindex="0" role="region" aria-label="' + escaped(table.title) + '"><table class="' + kind + '"><thead>' + row(table.head, 'th') + '</thead><tbody>' +
            table.rows.map(function (cells) { return row(cells, 'td'); }).join('') + '</tbody></table></div>';
    }

    function section_of(table, kind) {
        return '<section><h2>' + escaped(table.title) + '</h2>' + (table.note ? '<p class="note">' + escaped(table.note) + '</p>' : '') + table_of(table, kind) + '</section>';
    }

    function figure_of(name, kind) {
        return '<figure id="' + escaped(name) + '" class="' + kind + '"></figure>';
    }

    function write() {
        makers = chart_makers(page);
        var html = '<header><h1>' + escaped(page.question || page.title) + '</h1>' + (page.question ? '<div class="from">' + escaped(page.title) + '</div>' : '') + '<div class="state" id="state" role="status"></div>' +
            page.notes.map(function (note) { return '<p class="warning">' + escaped(note) + '</p>'; }).join('') + '</header><div class="first"><section>';
        if (page.numbers.rows.length) html += '<h2>' + escaped(page.numbers.title) + '</h2>' + table_of(page.numbers, 'numbers');
        if (page.answer) html += '<h2>How to read it</h2><p>' + escaped(page.answer) + '</p>';
        html += '</section>' + figure_of(makers[0].name, '') + '</div><div class="pairs">';
        makers.slice(1).forEach(function (maker) { html += figure_of(maker.name, maker.name === 'map' ? 'wide' : ''); });
        html += '</div>' + page.tables.map(function (table) { return section_of(table, /^Not/.test(table.title) ? 'text' : ''); }).join('');
        html += section_of(page.host, 'text');
        if (page.commands.length) html += '<section><h2>To run it again</h2>' + page.commands.map(function (c) { return '<pre tabindex="0">' + escaped(c) + '</pre>'; }).join('') + '</section>';
        if (page.scenario) html += '<section><h2>The scenario</h2><pre tabindex="0">' + escaped(page.scenario) + '</pre></section>';
        main.innerHTML = html;
        drawn_width = 0;
        draw();
    }

    // Each as wide as its place: text keeps its size.
    function draw() {
        drawn_width = window.innerWidth;
        var figures = makers.map(function (maker) { return document.getElementById(maker.name); });
        var widths = figures.map(function (figure) { return figure ? Math.floor(figure.clientWidth) : 0; });
        makers.forEach(function (maker, i) {
            var figure = figures[i], chart = figure && maker.make(widths[i], zoom);
            if (!chart) {
                if (figure) figure.parentNode.removeChild(figure);
                return;
            }
            figure.innerHTML = '<h2>' + escaped(chart.title) + '</h2>' + svg_of(chart) + (chart.name === 'over-time' ? '<div class="readout" aria-hidden="true"></div>' : '') +
                '<figcaption>' + escaped(chart.caption) + '</figcaption>';
            if (chart.name === 'over-time') make_readable(figure);
        });
    }

    function at_time(ms) {
        var parts = [digits_of_time(ms)];
        page.runs.forEach(function (run) {
            var prefix = page.runs.length > 1 ? run.name + ', ' : '';
            run.series.forEach(function (series) {
                var i = 0, high = series.t_ms.length;
                while (i < high) {
                    var middle = (i + high) >> 1;
                    if (series.t_ms[middle] < ms) i = middle + 1;
                    else high = middle;
                }
                if (i < series.t_ms.length) parts.push(prefix + series.workload + ' ' + shown_rate(series.rate[i], series.unit) + ', longest ' + shown_ns(series.max_ns[i]));
            });
            var near = null;
            run.calls.forEach(function (call) {
                if (!near || Math.abs(call.begin_ms - ms) < Math.abs(near.begin_ms - ms)) near = call;
            });
            if (near) parts.push(prefix + 'nearest call: ' + near.call + ' at ' + digits_of_time(near.begin_ms) + ', ' + shown_ns(near.ns));
        });
        return parts.join(' · ');
    }

    function digits_of_time(ms) {
        return Number((ms / 1000).toPrecision(6)) + ' s';
    }

    // What is at the pointer, as text; a period that is drawn over with it is what the chart shows from then on.
    function make_readable(figure) {
        var svg = figure.querySelector('svg'), readout = figure.querySelector('.readout'), from = null;
        var left = Number(svg.dataset.left), right = Number(svg.dataset.right), begin = Number(svg.dataset.from), end = Number(svg.dataset.to);
        var hint = 'Point at the chart to read it; draw along it to look closer' + (zoom ? ', click twice to see all.' : '.');
        var time_of = function (event) {
            var box = svg.getBoundingClientRect(), x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
            return begin + (end - begin) * Math.min(1, Math.max(0, (x - left) / (right - left)));
        };
        readout.textContent = hint;
        svg.addEventListener('pointermove', function (event) { readout.textContent = at_time(time_of(event)); });
        svg.addEventListener('pointerleave', function () { readout.textContent = hint; from = null; });
        svg.addEventListener('pointerdown', function (event) { if (event.pointerType === 'mouse') { from = time_of(event); event.preventDefault(); } });
        svg.addEventListener('pointerup', function (event) {
            var to = time_of(event), period = [Math.min(from, to), Math.max(from, to)];
            if (from === null || period[1] - period[0] < (end - begin) / 100) return;
            zoom = period;
            draw();
        });
        svg.addEventListener('dblclick', function () { zoom = null; draw(); });
    }

    function follow() {
        var request = new XMLHttpRequest(), state = document.getElementById('state');
        request.onload = function () {
            if (request.status !== 200) return;
            page = JSON.parse(request.responseText);
            var place = window.scrollY;
            write();
            window.scrollTo(0, place);
            document.getElementById('state').textContent = page.state;
            if (!page.has_ended) setTimeout(follow, 1000);
        };
        request.onerror = function () { state.textContent = 'The run has ended, or cannot be reached any more; this is what was seen of it.'; };
        request.open('GET', 'contents.json');
        request.send();
    }

    window.addEventListener('resize', function () { if (window.innerWidth !== drawn_width) draw(); });
    write();
    if (page.live) follow();
    performance.mark('ready');
})();
