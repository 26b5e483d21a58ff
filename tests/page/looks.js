// What a page looks like, as a test asks: evaluated in it.
(function () {
    function numbers(colour) {
        var parts = (colour.match(/[\d.]+/g) || []).map(Number);
        return {rgb: parts.slice(0, 3), alpha: parts.length > 3 ? parts[3] : 1};
    }
    // As WCAG 2 has it.
    function luminance(rgb) {
        var linear = rgb.map(function (c) { c /= 255; return c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4); });
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    }
    function ratio(a, b) {
        var l = [luminance(a), luminance(b)].sort(function (x, y) { return y - x; });
        return (l[0] + 0.05) / (l[1] + 0.05);
    }
    function paper(element) {
        for (; element; element = element.parentElement) {
            var colour = numbers(getComputedStyle(element).backgroundColor);
            if (colour.alpha > 0) return colour.rgb;
        }
        return [255, 255, 255];
    }
    var found = {texts: 0, least_contrast: 99, pale: [], cut_off: [], beyond: [], marks: document.querySelectorAll('.mark').length,
        lines: document.querySelectorAll('#over-time .line').length, charts: [], tables: document.querySelectorAll('table').length,
        scroll_width: document.documentElement.scrollWidth, inner_width: innerWidth, foreign: document.querySelectorAll('img, iframe, object, link[rel=stylesheet]').length};
    var walker = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        var element = walker.currentNode.parentElement, style = getComputedStyle(element);
        if (!walker.currentNode.data.trim() || !element.getClientRects().length) continue;
        var is_drawn = element.namespaceURI === 'http://www.w3.org/2000/svg';
        var contrast = ratio(numbers(is_drawn ? style.fill : style.color).rgb, paper(element));
        found.texts++;
        found.least_contrast = Math.min(found.least_contrast, contrast);
        if (contrast < 4.5) found.pale.push(walker.currentNode.data + ' ' + contrast);
        if (is_drawn) {
            var box = element.getBoundingClientRect(), svg = element.closest('svg').getBoundingClientRect();
            if (box.left < svg.left - 1 || box.right > svg.right + 1 || box.top < svg.top - 1 || box.bottom > svg.bottom + 1) found.cut_off.push(walker.currentNode.data);
        } else if (!element.closest('.scroll, pre')) {
            var place = element.getBoundingClientRect();
            if (place.right > innerWidth + 1 || place.left < -1) found.beyond.push(walker.currentNode.data);
        }
    }
    Array.prototype.forEach.call(document.querySelectorAll('figure'), function (figure) {
        found.charts.push({name: figure.id, label: figure.querySelector('svg').getAttribute('aria-label'), titles: figure.querySelectorAll('.title').length});
    });
    var numbers_table = document.querySelector('.numbers'), heading = document.querySelector('h1');
    found.first_screen = {question: heading.textContent, question_bottom: heading.getBoundingClientRect().bottom,
        numbers_bottom: numbers_table ? numbers_table.getBoundingClientRect().bottom : 0, height: innerHeight,
        curve_top: document.querySelector('#over-time svg') ? document.querySelector('#over-time svg').getBoundingClientRect().top : 0};
    found.ready_ms = performance.getEntriesByName('ready')[0].startTime;
    return found;
})();
