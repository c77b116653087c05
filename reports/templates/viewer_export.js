// Files of the map as it is shown, and the moment that is shown in the files of the charts (see export.js).
"use strict";
const viewerExport = (() => {
  const { byId, count, css, hours } = viewerWords;
  const HEAD = 22; // CSS pixels of the line above the squares of a worker type

  // The colour that ImageData holds as a uint32, in words of SVG.
  const hex = (pixel) => "#" + [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255].map((part) => part.toString(16).padStart(2, "0")).join("");

  // Squares of one worker type, gathered by colour: {colour: path}, in CSS pixels.
  function paths(panel, group, idle) {
    const { frames, map, colours } = panel, ratio = group.canvas.width / group.canvas.clientWidth, cell = map.cell / ratio, found = new Map();
    const add = (colour, x, y, height) => found.set(colour, `${found.get(colour) ?? ""}M${x} ${+y.toFixed(2)}h${cell}v${+height.toFixed(2)}h${-cell}z`);
    for (let i = 0; i < group.gpus; i++) {
      const x = group.flow.xs[i] / ratio, y = group.flow.ys[i] / ratio, held = frames.held(group.firstGpu + i);
      const total = held.reduce((sum, slot) => sum + frames.share[slot], 0);
      let top = y + cell;
      for (const slot of held) {
        const height = (cell * frames.share[slot]) / Math.max(1000, total);
        add(colours[frames.job[slot]], x, (top -= height), height);
      }
      if (total < 1000) add(idle, x, y, top - y);
    }
    return found;
  }

  function picture({ view }, panel) {
    const { groups } = panel.map, width = Math.max(...groups.map(({ canvas }) => canvas.clientWidth));
    const made = exporting.node("svg", { xmlns: "http://www.w3.org/2000/svg", width, "font-family": getComputedStyle(document.body).fontFamily, "font-size": 12 });
    let y = 0;
    for (const group of groups) {
      exporting.node("text", { x: 2, y: y + 14, ...exporting.painted("fill", css("soft")) }, made, group.canvas.previousElementSibling.textContent);
      const squares = exporting.node("g", { transform: `translate(0 ${y + HEAD})` }, made);
      for (const [colour, d] of paths(panel, group, view.idle)) exporting.node("path", { d, fill: hex(colour) }, squares);
      y += HEAD + group.canvas.clientHeight + 6;
    }
    made.setAttribute("height", y);
    made.setAttribute("viewBox", `0 0 ${width} ${y}`);
    return made;
  }

  function rows(panel) {
    const { frames, map } = panel, { jobs, run } = frames, found = [["worker type", "node", "GPU", "job", "job type", "share", "since round"]];
    for (let gpu = 0; gpu < frames.gpus; gpu++) {
      const { type, node, gpu: own } = map.placeOf(gpu), held = frames.held(gpu);
      if (!held.length) found.push([type, node, own, "", "", 0, ""]);
      for (const slot of held) found.push([type, node, own, jobs.id[frames.job[slot]], run.jobTypes[jobs.type[frames.job[slot]]], frames.share[slot] / 1000, frames.since[slot]]);
    }
    return found;
  }

  function offer(app) {
    for (const panel of app.panels) {
      const { run } = panel.frames;
      exporting.offer(panel.section.querySelector(".map-figure"), {
        title: `Map of ${run.name}`, draw: () => picture(app, panel), rows: () => rows(panel),
        legend: () => (app.view.scheme === "kind" ? byId("kinds").children : []),
      });
    }
    document.addEventListener("chartexport", ({ target, detail: { svg, plot } }) => {
      if (!svg || !target.closest("#time")) return;
      const ratio = devicePixelRatio, x = plot.valToPos(app.now_s() / 3600, "x", true) / ratio, { top, height } = plot.bbox;
      const line = exporting.node("line", { x1: x, x2: x, y1: top / ratio, y2: (top + height) / ratio, "stroke-width": 2, ...exporting.painted("stroke", css("ink")) }, svg);
      exporting.node("title", {}, line, `round ${count(app.view.tick)}, ${hours(app.now_s())}`);
    });
  }

  return { offer, picture, rows };
})();
