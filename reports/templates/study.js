// Draws the figures of a study's page as SVG, filters them and the table of points, and shows read-outs.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("payload").textContent);
  const tip = document.getElementById("tip");
  const MARKS = ["circle", "square", "diamond", "down", "plus", "left"];
  const DASHES = ["", "7 2", "4 1.5 1 1.5", "1.5 1.5", "8 1.5 1 1.5 1 1.5"];
  const SIGNS = { overloaded: "up", "axis limit": "diamond" };
  const PUBLISHED = { paper: "1.5 2.5", replication: "4 2.5" };
  const hidden = new Map(); // override -> values that are filtered out
  const drawn = [];

  function node(name, attributes, parent, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  const shown = (keys) => Object.entries(keys).every(([key, value]) => !(hidden.get(key) || new Set()).has(value));
  const paint = (colour) => `var(--${colour})`;

  function shape(kind, x, y, r) {
    if (kind === "square") return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
    if (kind === "diamond") return `M${x} ${y - 1.3 * r}l${1.3 * r} ${1.3 * r}l${-1.3 * r} ${1.3 * r}l${-1.3 * r} ${-1.3 * r}z`;
    if (kind === "down") return `M${x - 1.2 * r} ${y - r}h${2.4 * r}l${-1.2 * r} ${2.2 * r}z`;
    if (kind === "up") return `M${x - 1.2 * r} ${y + r}h${2.4 * r}l${-1.2 * r} ${-2.2 * r}z`;
    if (kind === "left") return `M${x + r} ${y - 1.2 * r}v${2.4 * r}l${-2.2 * r} ${-1.2 * r}z`;
    if (kind === "plus") return `M${x - r} ${y}h${2 * r}M${x} ${y - r}v${2 * r}`;
    return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
  }

  function style(series, index) {
    const ours = series.source === "ours";
    return {
      dash: ours ? (series.faint ? "1.5 2" : DASHES[index % DASHES.length]) : PUBLISHED[series.source] || "1 2 4 2",
      mark: series.look === "points" ? MARKS[index % MARKS.length] : "",
      width: series.faint ? 1.2 : 1.8,
    };
  }

  // What one series shows under the filters: the points that are left, with their place in the arrays.
  function points(figure, series) {
    if (!shown(series.keys)) return [];
    const out = figure.xKey ? hidden.get(figure.xKey) || new Set() : new Set();
    return series.x.map((x, i) => ({ x, y: series.y[i], i })).filter((p) => p.y !== null && !(series.source === "ours" && out.has(String(p.x))));
  }

  const at = (list, i) => (list && list[i] !== undefined ? list[i] : null);
  const stateOf = (series, i) => at(series.state, i) || "complete";

  function words(panel, series, p, category) {
    const x = axes.parts(panel.x.title), y = axes.parts(panel.y.title);
    const unit = (part) => (part.unit && !part.unit.includes(" ") ? axes.THIN + part.unit : "");
    const lines = [series.label, category || `${x.words} ${axes.number(p.x)}${unit(x)}`, `${y.words} ${axes.number(p.y)}${unit(y)}`];
    const low = at(series.low, p.i), high = at(series.high, p.i);
    if (low !== null && high !== null) lines.push(`95 %: ${axes.number(low)} to ${axes.number(high)}`);
    const n = at(series.n, p.i), of = at(series.of, p.i);
    if (n !== null) lines.push(of !== null && of !== n ? `n = ${n} of ${of}` : `n = ${n}`);
    const state = stateOf(series, p.i);
    if (state !== "complete") lines.push(`${state}: ${data.states[state]}`);
    return lines;
  }

  function dotWords(panel, dot) {
    const y = axes.parts(panel.y.title);
    const lines = [dot.label + (dot.seed ? `, seed ${dot.seed}` : ""), `${y.words} ${axes.number(dot.y)}${y.unit ? axes.THIN + y.unit : ""}`];
    if (dot.state !== "complete") lines.push(dot.state);
    lines.push(dot.link ? `opens ${dot.link.split("/").pop()} of ${dot.point}` : `no files of ${dot.point}`);
    return lines;
  }

  function frame(holder, height) {
    holder.replaceChildren();
    const width = Math.max(240, holder.clientWidth);
    return { width, svg: node("svg", { height, viewBox: `0 0 ${width} ${height}`, role: "img" }, holder) };
  }

  // A group whose marks and bars end with the panel, its rim of so many pixels aside.
  function inside(svg, key, box, rim) {
    const clip = node("clipPath", { id: `clip-${key}` }, svg);
    node("rect", { x: box.left - rim, y: box.top - rim, width: box.right - box.left + 2 * rim, height: box.bottom - box.top + 2 * rim }, clip);
    return node("g", { "clip-path": `url(#clip-${key})` }, svg);
  }

  function signed(svg, x, y, series, state, kind) {
    const clean = state === "complete", look = SIGNS[state] || kind || "circle";
    const fill = clean && look !== "plus" ? paint(series.colour) : "var(--paper)";
    node("path", { d: shape(look, x, y, clean ? 3.6 : 4.2), style: `fill:${fill};stroke:${paint(series.colour)};stroke-width:1.5` }, svg);
  }

  function addDot(state, svg, dot, px, py, panel) {
    const holder = dot.link ? node("a", { href: dot.link, "aria-label": dotWords(panel, dot).join(", ") }, svg) : svg;
    const colour = state.colours.get(dot.label) || "blue";
    node("circle", { cx: px, cy: py, r: 2.6, style: `fill:${paint(colour)};fill-opacity:.45;stroke:${paint(colour)};stroke-width:.8` }, holder);
    state.near.push({ px, py, lines: dotWords(panel, dot), href: dot.link });
  }

  // ---- panels over a numeric x -----------------------------------------------------------------------------------

  function path(list, look) {
    if (look !== "steps") return list.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    return list.map(([x, y], i) => (i ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}`)).join("");
  }

  function grid(svg, panel, x, y, box) {
    for (const t of y.ticks) {
      const py = y.at(t);
      node("line", { x1: box.left, x2: box.right, y1: py, y2: py, class: "grid-line" }, svg);
      node("text", { x: box.left - 7, y: py + 4, "text-anchor": "end" }, svg, axes.tick(t));
    }
    for (const t of x.ticks) {
      const px = x.at(t);
      node("line", { x1: px, x2: px, y1: box.bottom, y2: box.bottom + 4, class: "axis-line" }, svg);
      node("text", { x: px, y: box.bottom + 17, "text-anchor": "middle" }, svg, axes.tick(t));
    }
    node("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, class: "axis-line" }, svg);
    node("text", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" }, svg, panel.x.title);
    node("text", { transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg, panel.y.title);
  }

  function drawSeries(state, svg, series, index, list, x, y, box) {
    const look = style(series, index), stroke = `fill:none;stroke:${paint(series.colour)};stroke-width:${look.width}`;
    const pixel = (p) => [x.at(p.x), y.at(p.y)];
    const bands = series.source === "ours" ? list.filter((p) => at(series.low, p.i) !== null && at(series.high, p.i) !== null) : [];
    if (series.look === "line" && bands.length > 1) {
      const edge = [...bands.map((p) => [x.at(p.x), y.at(series.high[p.i])]), ...bands.reverse().map((p) => [x.at(p.x), y.at(series.low[p.i])])];
      node("path", { d: path(edge, "line") + "z", style: `fill:${paint(series.colour)};fill-opacity:.18` }, svg);
    } else for (const p of bands) {
      const px = x.at(p.x), top = y.at(series.high[p.i]), bottom = y.at(series.low[p.i]);
      node("path", { d: `M${px - 3} ${top}h6M${px} ${top}V${bottom}M${px - 3} ${bottom}h6`, style: stroke }, svg);
    }
    const whole = (each) => each.map(pixel).filter(([px, py]) => px !== null && py !== null);
    const sure = list.filter((p) => stateOf(series, p.i) === "complete");
    let line = whole(sure);
    if (sure.length < list.length) node("path", { d: path(whole(list), "line"), style: `fill:none;stroke:${paint(series.colour)}`, "stroke-dasharray": "1 3" }, svg);
    if (series.look === "steps" && line.length) { // what has no place on a logarithmic axis is there from its left end on
      const before = Math.max(0, ...list.filter((p) => state.panel.x.log && p.x <= 0).map((p) => p.y));
      line = [[box.left, y.at(before)], ...line, [box.right, line[line.length - 1][1]]];
    }
    node("path", { d: path(line, series.look), style: stroke, "stroke-dasharray": look.dash }, svg);
    for (const p of list) {
      const [px, py] = pixel(p), sign = stateOf(series, p.i);
      if (px === null || py === null) continue;
      if (look.mark || sign !== "complete") signed(svg, px, py, series, sign, look.mark);
      state.near.push({ px, py, lines: words(state.panel, series, p) });
    }
  }

  function drawNumeric(state) {
    const { figure, panel } = state, lists = panel.series.map((series) => points(figure, series));
    const dots = panel.dots.filter((dot) => shown(dot.keys)), height = 290, { width, svg } = frame(state.holder, height);
    const box = { left: 58, right: width - 14, top: panel.marks.length ? 22 : 10, bottom: height - 46 };
    const all = (key) => [...lists.flat().map((p) => p[key]), ...dots.map((dot) => dot[key])];
    const ends = panel.series.flatMap((series, s) => (series.source === "ours" ? lists[s].flatMap((p) => [at(series.low, p.i), at(series.high, p.i)]) : []));
    const y = axes.scale(panel.y, [...all("y"), ...ends], box.bottom, box.top, 40);
    box.left = 32 + 7 * Math.max(3, ...y.ticks.map((t) => axes.tick(t).length));
    const x = axes.scale(panel.x, all("x"), box.left, box.right, 64);
    grid(svg, panel, x, y, box);
    for (const [value, label] of panel.marks) {
      const px = x.at(value);
      if (px < box.left || px > box.right) continue;
      node("line", { x1: px, x2: px, y1: box.top, y2: box.bottom, class: "mark-line" }, svg);
      node("text", { x: px, y: box.top - 6, "text-anchor": "middle" }, svg, label);
    }
    const held = inside(svg, panel.key, box, 4);
    panel.series.forEach((series, index) => drawSeries(state, held, series, index, lists[index], x, y, box));
    for (const dot of dots) addDot(state, held, dot, x.at(dot.x), y.at(dot.y), panel);
    return svg;
  }

  // ---- panels over names -----------------------------------------------------------------------------------------

  function wrapped(svg, label, x, y, most) {
    const lines = [""], parts = label.split(/(?<=[ ,])/).flatMap((word) => (word.length > most ? word.split(/(?<=_)/) : [word]));
    for (const word of parts) {
      if (lines[lines.length - 1] && (lines[lines.length - 1] + word.trimEnd()).length > most) lines.push("");
      lines[lines.length - 1] += word;
    }
    lines.slice(0, 3).forEach((line, i) => node("text", { x, y: y + 4 + (i - (Math.min(3, lines.length) - 1) / 2) * 13, "text-anchor": "end" }, svg, line.trim()));
  }

  function drawNames(state) {
    const { panel } = state, rows = panel.categories.map((each, i) => ({ ...each, i })).filter((each) => shown(each.keys));
    const place = new Map(rows.map((each, row) => [each.i, row])), size = 44, height = rows.length * size + 52;
    const { width, svg } = frame(state.holder, height), left = Math.min(190, width * 0.4);
    const box = { left, right: width - 16, top: 4, bottom: height - 48 };
    const dots = panel.dots.filter((dot) => shown(dot.keys));
    const values = panel.stacked ? [0, 100] : [...panel.series.flatMap((s) => [s.y, s.low || [], s.high || []].flatMap((list) => list.filter((_, i) => place.has(s.x[i])))), ...dots.map((dot) => dot.y)];
    const x = axes.scale(panel.y, values, box.left, box.right, 64), middle = (i) => box.top + (place.get(i) + 0.5) * size;
    for (const t of x.ticks) {
      node("line", { x1: x.at(t), x2: x.at(t), y1: box.top, y2: box.bottom, class: "grid-line" }, svg);
      node("text", { x: x.at(t), y: box.bottom + 17, "text-anchor": "middle" }, svg, axes.tick(t));
    }
    node("text", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" }, svg, panel.y.title);
    rows.forEach((each) => wrapped(svg, each.label, box.left - 10, middle(each.i), Math.floor(left / 7)));
    const held = inside(svg, panel.key, box, 6);
    const base = new Map(rows.map((each) => [each.i, 0]));
    for (const series of panel.series) series.x.forEach((i, k) => {
      if (!place.has(i) || series.y[k] === null) return;
      const p = { x: i, y: series.y[k], i: k }, y = middle(i), lines = words(panel, series, p, panel.categories[i].label);
      if (series.look === "bars") {
        const from = x.at(base.get(i)), to = x.at(base.get(i) + p.y);
        node("rect", { x: from, y: y - 12, width: Math.max(0, to - from), height: 24, style: `fill:${paint(series.colour)};stroke:var(--paper);stroke-width:1` }, held);
        base.set(i, base.get(i) + p.y);
        state.near.push({ px: (from + to) / 2, py: y, lines, reach: Math.max(14, (to - from) / 2) });
        return;
      }
      const low = at(series.low, k), high = at(series.high, k);
      if (low !== null && high !== null) node("path", { d: `M${x.at(low)} ${y - 4}v8M${x.at(low)} ${y}H${x.at(high)}M${x.at(high)} ${y - 4}v8`, style: `stroke:${paint(series.colour)};stroke-width:1.6;fill:none` }, held);
      signed(held, x.at(p.y), y, series, stateOf(series, k), "circle");
      state.near.push({ px: x.at(p.y), py: y, lines });
    });
    for (const dot of dots) addDot(state, held, dot, x.at(dot.y), middle(dot.x) + 13, panel);
    return svg;
  }

  // ---- the page --------------------------------------------------------------------------------------------------

  function draw(state) {
    state.near = [];
    const svg = state.panel.categories.length ? drawNames(state) : drawNumeric(state);
    const ring = node("circle", { r: 7, class: "near", visibility: "hidden" }, svg);
    const find = (event) => {
      const box = svg.getBoundingClientRect(), mx = event.clientX - box.left, my = event.clientY - box.top;
      let best = null, least = 26 ** 2;
      for (const p of state.near) {
        const away = Math.max(0, Math.abs(p.px - mx) - (p.reach || 0)) ** 2 + (p.py - my) ** 2 - (p.href ? 9 : 0);
        if (away < least) [best, least] = [p, away];
      }
      return best;
    };
    svg.addEventListener("pointermove", (event) => {
      const p = find(event);
      svg.classList.toggle("opens", Boolean(p && p.href));
      ring.setAttribute("visibility", p && !p.reach ? "visible" : "hidden");
      if (!p) { tip.hidden = true; return; }
      ring.setAttribute("cx", p.px);
      ring.setAttribute("cy", p.py);
      show(p.lines, event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; ring.setAttribute("visibility", "hidden"); });
    svg.addEventListener("click", (event) => {
      const p = find(event);
      if (p && p.href && !event.target.closest("a")) location.href = p.href;
    });
  }

  function show(lines, x, y) {
    tip.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
    tip.hidden = false;
    const box = tip.getBoundingClientRect(), left = x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16;
    tip.style.left = Math.max(6, Math.min(left, innerWidth - box.width - 6)) + "px";
    tip.style.top = Math.max(6, Math.min(y + 14, innerHeight - box.height - 6)) + "px";
  }

  function legend(figure) {
    const box = document.querySelector(`.legend[data-figure="${figure.name}"]`), seen = new Map();
    for (const panel of figure.panels) panel.series.forEach((series, index) => {
      if (!seen.has(series.label) && shown(series.keys)) seen.set(series.label, [series, index]);
    });
    box.replaceChildren();
    if (seen.size < 2) return;
    for (const [label, [series, index]] of seen) {
      const entry = document.createElement("span"), svg = node("svg", { width: 30, height: 12 }, entry), look = style(series, index);
      if (series.look === "bars") node("rect", { x: 4, y: 0, width: 20, height: 11, style: `fill:${paint(series.colour)}` }, svg);
      else node("path", { d: "M1 6H29", "stroke-dasharray": look.dash, style: `stroke:${paint(series.colour)};stroke-width:${look.width}` }, svg);
      if (look.mark) signed(svg, 15, 6, series, "complete", look.mark);
      entry.append(label);
      box.append(entry);
    }
  }

  function filterTable() {
    const rows = [...document.querySelectorAll("#points tbody tr")];
    for (const row of rows) row.hidden = !shown(JSON.parse(row.dataset.keys));
    const count = document.getElementById("count");
    if (count) count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} points shown`;
  }

  function update() {
    hidden.clear();
    for (const set of document.querySelectorAll("#filters fieldset")) {
      hidden.set(set.dataset.key, new Set([...set.querySelectorAll("input:not(:checked)")].map((box) => box.value)));
    }
    data.figures.forEach(legend);
    drawn.forEach(draw);
    filterTable();
  }

  function sort(head, index) {
    const down = head.getAttribute("aria-sort") === "ascending", body = document.querySelector("#points tbody");
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.children[index].dataset.order;
    const numeric = [...body.rows].every((row) => key(row) === "" || isFinite(key(row))) && head.textContent !== "point";
    const compare = (a, b) => (key(a) === "") - (key(b) === "") || (down ? -1 : 1) * (numeric ? key(a) - key(b) : key(a).localeCompare(key(b)));
    body.append(...[...body.rows].sort(compare));
  }

  // The rows behind a panel under the filters: the series point by point, then the runs.
  function rows({ figure, panel }) {
    const y = axes.parts(panel.y.title), end = (which) => `${y.words}, ${which} end of 95 %${y.unit ? ` (${y.unit})` : ""}`;
    const named = (x) => (panel.categories.length ? panel.categories[x].label : x);
    const keys = panel.categories.length ? (p) => shown(panel.categories[p.x].keys) : () => true;
    const series = panel.series.flatMap((each) => points(figure, each).filter(keys).map((p) => [
      each.label, named(p.x), p.y, at(each.low, p.i), at(each.high, p.i), at(each.n, p.i), stateOf(each, p.i), "", "",
    ]));
    const dots = panel.dots.filter((dot) => shown(dot.keys)).map((dot) => [dot.label, named(dot.x), dot.y, null, null, 1, dot.state, dot.seed, dot.point]);
    return [["series", panel.categories.length ? "group" : panel.x.title, panel.y.title, end("lower"), end("upper"), "n", "state", "seed", "point"], ...series, ...dots];
  }

  for (const figure of data.figures) for (const panel of figure.panels) {
    const holder = document.querySelector(`figure[data-panel="${panel.key}"] .plot`);
    const state = { figure, panel, holder, near: [], colours: new Map(panel.series.map((s) => [s.label, s.colour])) };
    drawn.push(state);
    exporting.offer(holder.parentElement, {
      title: holder.parentElement.getAttribute("aria-label"), legend: () => document.querySelectorAll(`.legend[data-figure="${figure.name}"] > *`),
      draw: () => exporting.styled(holder.querySelector("svg")), rows: () => rows(state),
    });
    let width = 0;
    new ResizeObserver(([entry]) => {
      const now = Math.floor(entry.contentRect.width);
      if (now && width && now !== width) draw(state);
      width = now;
    }).observe(holder);
  }
  document.getElementById("filters")?.addEventListener("change", update);
  document.getElementById("everything")?.addEventListener("click", () => {
    for (const box of document.querySelectorAll("#filters input")) box.checked = true;
    update();
  });
  document.querySelectorAll("#points thead th").forEach((head, index) => head.querySelector("button").addEventListener("click", () => sort(head, index)));
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  update();
  document.documentElement.dataset.ready = "true";
})();
