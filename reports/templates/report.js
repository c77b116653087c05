// Draws the charts of the payload with uPlot and shows read-outs. It computes nothing but the stacking.
"use strict";
(() => {
  const THIN = "\u202f";
  const charts = new Map(JSON.parse(document.getElementById("payload").textContent).map((c) => [c.key, c]));
  const tip = document.getElementById("tip");
  const FONT = getComputedStyle(document.body).fontFamily;
  const TITLE_SIZE = 22; // CSS pixels that the title of an axis takes, besides the axis
  const ruler = document.createElement("canvas").getContext("2d");
  const live = [];

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const fade = (colour, share) => `color-mix(in srgb, ${colour} ${share}%, transparent)`;

  function number(value) {
    if (value === null || value === undefined || !isFinite(value)) return "–";
    if (Number.isInteger(value)) return tick(value);
    const size = Math.abs(value);
    if (size < 1e-4) return value.toExponential(2).replace("e-", "e−");
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(size)));
    const [whole, part] = value.toFixed(decimals).split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, THIN) + (part ? "." + part : "");
  }

  function tick(value) {
    if (value === 0) return "0";
    if (Math.abs(value) < 1e-3) return (+value.toPrecision(2)).toExponential().replace("e-", "e−");
    const [whole, part] = String(+value.toPrecision(6)).split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, THIN) + (part ? "." + part : "");
  }

  // Ticks of a logarithmic axis: decades where they fill it, else 1-2-5, else finer steps for a narrow range.
  function logTicks(low, high, room) {
    const every = Math.max(1, Math.ceil(Math.log10(high / low) / room));
    let ticks = [];
    for (const steps of [[1], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 8]]) {
      const finer = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
        if (power % every) continue;
        for (const step of steps) {
          const value = +(step * 10 ** power).toPrecision(3);
          if (value >= low * 0.9999 && value <= high * 1.0001) finer.push(value);
        }
      }
      if (ticks.length > 1 && (finer.length > room || ticks.length > 3)) break;
      ticks = finer;
    }
    return ticks;
  }

  // Ticks that stand at least so far apart (a difference of logarithms): their labels would touch otherwise. 1-2-5 first.
  function apart(ticks, least) {
    const plain = (tick) => [1, 2, 5].includes(+(tick / 10 ** Math.floor(Math.log10(tick) + 1e-9)).toPrecision(3));
    const kept = [];
    for (const tick of [...ticks.filter(plain), ...ticks.filter((tick) => !plain(tick))]) {
      if (kept.every((other) => Math.abs(Math.log(tick / other)) >= least)) kept.push(tick);
    }
    return kept.sort((a, b) => a - b);
  }

  // The whole decades around a range, at least one.
  function decades(low, high) {
    const first = Math.floor(Math.log10(low) + 1e-9), last = Math.ceil(Math.log10(high) - 1e-9);
    return [10 ** first, 10 ** Math.max(last, first + 1)];
  }

  function rows(chart, which) {
    return chart.series.map((s) => (which === "cpu" && s.cpu ? s.cpu : s.values));
  }

  // Running sums from the first series up, drawn from the top down so that each paints over the one above it.
  function stack(values) {
    const sums = [];
    let below = values[0].map(() => 0);
    for (const row of values) {
      below = row.map((v, i) => (v === null ? null : v + (below[i] || 0)));
      sums.push(below);
    }
    return sums.reverse();
  }

  function seriesOptions(chart, item) {
    const colour = css(item.colour);
    const option = { label: item.label, spanGaps: true, points: { show: chart.x.length === 1 }, stroke: colour, width: 1.6 };
    if (chart.stacked) Object.assign(option, { fill: colour, width: 0 });
    if (item.draw === "steps") Object.assign(option, { paths: uPlot.paths.stepped({ align: 1 }), fill: fade(colour, 32), width: 1.2 });
    if (item.draw === "area" && !chart.stacked) Object.assign(option, { fill: fade(colour, 30), width: 0 });
    if (item.dash) option.dash = [6, 4];
    return option;
  }

  // CSS pixels across the widest of some words: how wide a figure is depends on the font that this machine has.
  function across(words) {
    ruler.font = `12px ${FONT}`;
    return Math.max(0, ...words.map((word) => ruler.measureText(word || "").width));
  }

  function axisOptions(axis, horizontal) {
    const option = {
      font: `12px ${FONT}`, stroke: css("soft"), grid: { show: !horizontal, stroke: css("grid"), width: 1 }, ticks: { stroke: css("rule"), width: 1, size: 4 }, gap: 4,
      values: (_, splits) => splits.map((v) => (v === null ? null : tick(v))),
    };
    if (horizontal) option.size = 30 + TITLE_SIZE;
    else option.size = (_, values) => TITLE_SIZE + 14 + Math.max(across(["00"]), across(values || []));
    if (axis.log) {
      option.splits = (u, index, low, high) => {
        const room = horizontal ? u.width / 62 : u.height / 34;
        const ticks = logTicks(low, high, Math.max(3, room));
        return apart(ticks, (horizontal ? Math.max(44, 10 + across(ticks.map(tick))) : 18) / (horizontal ? u.width - 70 : u.height - 60) * Math.log(high / low));
      };
      option.filter = (_, splits) => splits;
    } else option.space = horizontal ? Math.max(64, 20 + across(["000 000"])) : 38;
    return option;
  }

  function scale(axis, values, time) {
    const option = { time: false };
    if (axis.log) option.distr = 3;
    if (axis.log && axis.low === null) {
      option.range = (_, low, high) => low === null ? [1, 10] : decades(low, high);
    } else if (axis.low !== null && axis.high !== null && !time) option.range = [axis.low, axis.high];
    else if (axis.low !== null && !time) option.range = (_, low, high) => [axis.low, high > axis.low ? axis.low + (high - axis.low) * 1.06 : axis.low + 1];
    else if (axis.log) option.range = (_, low, high) => low === high ? [axis.low, axis.high] : [Math.max(low, axis.low), Math.min(high, axis.high)];
    return option;
  }

  // Titles of the axes, in letters that are as small as the room asks for: uPlot's own are cut where they are too long.
  function titlesPlugin(titles) {
    const write = (ctx, title, room) => {
      for (let size = 12; size >= 4; size -= 0.5) { // step by step, as letters of another size are of other proportions
        ctx.font = `${size * devicePixelRatio}px ${FONT}`;
        if (ctx.measureText(title).width <= room) break;
      }
      ctx.fillText(title, 0, 0);
    };
    const draw = (u) => {
      const { ctx, bbox } = u, { width, height } = ctx.canvas, edge = TITLE_SIZE / 2 * devicePixelRatio;
      const x = bbox.left + bbox.width / 2, y = bbox.top + bbox.height / 2;
      ctx.save();
      Object.assign(ctx, { fillStyle: css("soft"), textAlign: "center", textBaseline: "middle" });
      ctx.translate(x, height - edge);
      write(ctx, titles.x, 2 * Math.min(x, width - x));
      ctx.translate(edge - x, y - height + edge);
      ctx.rotate(-Math.PI / 2);
      write(ctx, titles.y, 2 * Math.min(y, height - y));
      ctx.restore();
    };
    return { hooks: { drawAxes: [draw] } };
  }

  // Where the vertical rules stand (canvas pixels) and where their labels begin: to the right of the rule, or as far to the
  // left as the next label and the edge want it. Sets the font of the canvas.
  function marksOf(u, chart) {
    const { ctx, bbox } = u, ratio = devicePixelRatio, pad = 4 * ratio;
    ctx.font = `${11.5 * ratio}px ${FONT}`;
    const shown = chart.marks.map(([at, label]) => ({ x: u.valToPos(at, "x", true), label, width: ctx.measureText(label).width }))
      .filter(({ x }) => x >= bbox.left && x <= bbox.left + bbox.width);
    let limit = ctx.canvas.width - ratio;
    for (const mark of shown.reverse()) {
      mark.left = Math.max(2 * ratio, Math.min(mark.x - pad, limit - mark.width));
      limit = mark.left - 2 * pad;
    }
    return shown;
  }

  function marksPlugin(chart) {
    const draw = (u) => {
      const { ctx, bbox } = u, ratio = devicePixelRatio;
      ctx.save();
      Object.assign(ctx, { textBaseline: "top", textAlign: "left", strokeStyle: css("soft"), fillStyle: css("soft"), lineWidth: ratio });
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      for (const { x, left, label } of marksOf(u, chart)) {
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.fillText(label, left, bbox.top - 17 * ratio);
      }
      ctx.restore();
    };
    return { hooks: { draw: [draw] } };
  }

  function place(x, y) {
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16;
    tip.style.left = Math.max(6, Math.min(left, innerWidth - box.width - 6)) + "px";
    tip.style.top = Math.max(6, Math.min(y + 14, innerHeight - box.height - 6)) + "px";
  }

  const text = (tag, content) => Object.assign(document.createElement(tag), { textContent: content });

  // The title of an axis, such as "Job completion time (h, logarithmic)", as its name and its unit.
  function parts(title) {
    const [, name, unit] = /^(.*?) ?(?:\((.*?)(?:, )?(?:logarithmic)?\))?$/.exec(title);
    return { name, unit: unit && unit !== "no unit" ? unit : "" };
  }

  // Whether x are the edges of the bars, one more than there are bars.
  const isHistogram = (chart) => chart.series[0].draw === "steps" && chart.xAxis.log;

  function readout(state, u) {
    const { chart } = state, index = u.cursor.idx;
    if (index === null || index === undefined) return false;
    const { name, unit } = parts(chart.xAxis.title), last = isHistogram(chart);
    if (last && index >= chart.x.length - 1) return false;
    const span = last ? `${number(chart.x[index])}–${number(chart.x[index + 1])}` : name === "Round" ? tick(chart.x[index]) : number(chart.x[index]);
    tip.replaceChildren(text("p", `${name} ${span}${unit ? THIN + unit : ""}`));
    const table = document.createElement("table");
    const values = rows(chart, state.which).map((row) => row[index]);
    const order = chart.series.map((_, i) => i);
    if (chart.stacked) order.reverse();
    for (const i of order) {
      const line = table.insertRow(), dot = document.createElement("i"), item = chart.series[i];
      dot.style.background = css(item.colour);
      line.insertCell().append(dot, item.label);
      line.insertCell().textContent = number(values[i]) + (item.unit && values[i] !== null ? THIN + item.unit : "");
    }
    if (chart.stacked) {
      const line = table.insertRow();
      line.className = "sum";
      line.insertCell().textContent = "sum";
      line.insertCell().textContent = number(values.reduce((a, b) => a + (b || 0), 0)) + THIN + chart.series[0].unit;
    }
    tip.append(table);
    return true;
  }

  function tipPlugin(state) {
    const move = (u) => {
      const over = u.over.matches(":hover");
      if (!over) return;
      const box = u.over.getBoundingClientRect();
      if (u.cursor.left < 0 || !readout(state, u)) tip.hidden = true;
      else place(box.left + u.cursor.left, box.top + u.cursor.top);
    };
    const ready = (u) => u.over.addEventListener("mouseleave", () => { tip.hidden = true; });
    return { hooks: { setCursor: [move], ready: [ready] } };
  }

  // Whoever draws on top of a chart is told when it was drawn.
  function drawnPlugin({ figure }) {
    return { hooks: { draw: [(u) => figure.dispatchEvent(new CustomEvent("chartdrawn", { detail: u, bubbles: true }))] } };
  }

  function legend(figure, chart) {
    const box = figure.querySelector(".legend");
    box.replaceChildren();
    if (chart.series.length < 2) return;
    const items = chart.stacked ? [...chart.series].reverse() : chart.series;
    for (const item of items) {
      const entry = document.createElement("span"), dot = document.createElement("i");
      dot.className = chart.stacked || item.draw === "area" ? "" : item.dash ? "dash" : "line";
      dot.style.background = dot.style.borderColor = css(item.colour);
      entry.append(dot, item.label);
      box.append(entry);
    }
  }

  function topOf({ chart, which }) {
    return (chart.tops && chart.tops[which] ? chart.tops[which][0] : null) ?? chart.yAxis.high;
  }

  function yTitle({ chart, which, cpu }) {
    return cpu ? chart.yAxis.title.replace(/^Time/, which === "cpu" ? "CPU time" : "Wall time") : chart.yAxis.title;
  }

  // What the picture of a chart is made from, besides its data.
  function drawingOf({ chart, plot, ...state }) {
    const drawn = chart.stacked ? [...chart.series].reverse() : chart.series, ratio = devicePixelRatio;
    const series = drawn.map((item) => {
      const { stroke, fill, width, dash } = seriesOptions(chart, item);
      return { colour: stroke, fill, width, dash: dash && dash.join(" "), steps: item.draw === "steps" };
    });
    const marks = marksOf(plot, chart).map(({ x, left, label }) => ({ x: x / ratio, left: left / ratio, label }));
    return { series, marks, stacked: chart.stacked, titles: { x: chart.xAxis.title, y: yTitle({ chart, ...state }) } };
  }

  // A chart's files: whoever draws on top of it adds to them on the event "chartexport" (detail: svg or rows, plot).
  function offerFiles(state) {
    if (typeof exporting === "undefined") return;
    const { figure, chart } = state;
    const told = (made) => {
      figure.dispatchEvent(new CustomEvent("chartexport", { detail: { ...made, plot: state.plot }, bubbles: true }));
      return made.svg || made.rows;
    };
    exporting.offer(figure, {
      title: figure.getAttribute("aria-label"), legend: () => figure.querySelector(".legend").children,
      draw: () => told({ svg: exporting.plot(state.plot, drawingOf(state)) }), rows: () => told({ rows: exporting.values(chart, parts, isHistogram(chart)) }),
    });
  }

  function draw(state) {
    const { chart, figure } = state, holder = figure.querySelector(".plot");
    if (state.plot) state.plot.destroy();
    const values = rows(chart, state.which);
    const drawn = chart.stacked ? [...chart.series].reverse() : chart.series;
    const xLog = chart.xAxis.log;
    state.plot = new uPlot({
      width: holder.clientWidth, height: chart.height, drawOrder: chart.stacked ? ["series", "axes"] : ["axes", "series"],
      legend: { show: false }, padding: [chart.marks.length ? 22 : 8, 24, 0, 0],
      cursor: { y: false, points: { show: !chart.stacked, size: 6 }, drag: { x: !xLog, y: false }, sync: chart.sync ? { key: chart.sync } : undefined },
      scales: { x: scale(chart.xAxis, chart.x, !xLog), y: scale({ ...chart.yAxis, high: topOf(state) }) },
      axes: [axisOptions(chart.xAxis, true), axisOptions(chart.yAxis, false)],
      series: [{}, ...drawn.map((item) => seriesOptions(chart, item))],
      plugins: [titlesPlugin({ x: chart.xAxis.title, y: yTitle(state) }), marksPlugin(chart), tipPlugin(state), drawnPlugin(state)],
    }, [chart.x, ...(chart.stacked ? stack(values) : values)], holder);
  }

  // ---- CPU or wall: one state for the whole page, kept in the address behind "#" -----------------------------------

  const CLOCKS = { cpu: "CPU", wall: "wall" };
  const inAddress = () => location.hash.slice(1).split("&").find((part) => part.startsWith("time="))?.slice(5);
  let clock = inAddress() in CLOCKS ? inAddress() : "cpu";

  function keepInAddress() {
    const rest = location.hash.slice(1).split("&").filter((part) => part && !part.startsWith("time="));
    if (clock !== "cpu") rest.push(`time=${clock}`);
    history.replaceState(null, "", rest.length ? `#${rest.join("&")}` : location.pathname + location.search);
  }

  function show(which) {
    clock = document.documentElement.dataset.time = which;
    for (const button of document.querySelectorAll(".switch button")) button.setAttribute("aria-pressed", String(button.value === which));
    for (const state of live.filter((each) => each.cpu)) {
      state.which = which;
      note(state);
      if (state.plot) draw(state);
    }
    document.dispatchEvent(new CustomEvent("clockchange", { detail: which }));
  }

  function switcher(box) {
    if (!box) return;
    box.hidden = false;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "CPU or wall time, on the whole page");
    for (const [which, label] of Object.entries(CLOCKS)) {
      const button = Object.assign(text("button", label), { type: "button", value: which });
      button.addEventListener("click", () => { show(which); keepInAddress(); });
      box.append(button);
    }
  }

  // The note of a chart, and what it does not show above its top under this clock.
  function note({ figure, chart, which }) {
    const box = figure.querySelector("figcaption p");
    if (!chart.tops || !box) return;
    box.dataset.plain ??= box.textContent;
    box.textContent = [box.dataset.plain, (chart.tops[which] || [])[1]].filter(Boolean).join(" ");
  }

  // An address such as "#r0-ran&time=wall" names a place as well, which the browser does not find by itself.
  function goToPlace() {
    const place = location.hash.slice(1).split("&").find((part) => part && !part.startsWith("time="));
    if (place) document.getElementById(place)?.scrollIntoView();
  }

  for (const figure of document.querySelectorAll("figure[data-chart]")) {
    const chart = charts.get(figure.dataset.chart);
    const cpu = chart.series.some((s) => s.cpu);
    const state = { figure, chart, which: cpu ? clock : "wall", cpu, plot: null };
    live.push(state);
    legend(figure, chart);
    if (cpu) switcher(figure.querySelector(".switch"));
    note(state);
    draw(state);
    offerFiles(state);
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width && width !== state.plot.width) state.plot.setSize({ width, height: chart.height });
    }).observe(figure.querySelector(".plot"));
  }
  if (live.some((state) => state.cpu) || document.querySelector("[data-time]")) switcher(document.querySelector(".page-clock .switch"));
  show(clock);
  addEventListener("hashchange", () => {
    if (inAddress() in CLOCKS) show(inAddress());
    else keepInAddress(); // a link to a place of the page leaves the clock as it is
    goToPlace();
  });
  goToPlace();
  const recolour = () => live.forEach((s) => { legend(s.figure, s.chart); draw(s); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  document.addEventListener("themechange", recolour); // of a page on which a theme can be chosen
  for (const moment of ["beforeprint", "afterprint"]) addEventListener(moment, recolour);
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  // Read-outs of the bars, which are plain elements.
  document.addEventListener("pointermove", (event) => {
    const target = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (target) {
      tip.textContent = target.dataset.tip;
      place(event.clientX, event.clientY);
    } else if (!event.target.closest || !event.target.closest(".u-over")) tip.hidden = true;
  });
  document.documentElement.dataset.ready = "true";
})();
