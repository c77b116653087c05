// The viewer: one clock for its runs, the scrubber, what is marked, the address, and the marker on every chart.
"use strict";
(() => {
  const SPEEDS = [2, 8, 32, 128, 512], REST_MS = 200;
  const { byId, count, css, element, hours, percent } = viewerWords;
  const shown = JSON.parse(byId("viewer").textContent);
  const slider = byId("round"), clock = byId("clock"), tip = byId("gpu-tip");
  const panels = [], plots = new Map();
  const view = { tick: 0, wanted: 0, part: viewerParts.NAMES[0], playing: false, speed: SPEEDS[2], scheme: "kind", pinned: null, cost_ms: 0, ready_ms: 0 };
  let noted = () => {}; // called after every change that the address of the page is to say

  // ---- what is marked

  function repaint() {
    viewerColours.recolour(app);
    for (const panel of panels) {
      panel.map.marked = view.pinned?.node === undefined ? null : { node: view.pinned.node, colour: css("ink") };
      panel.map.paint(panel.colours, view.idle);
    }
  }

  // Mark a job, a type of jobs ("kind") or a node everywhere; what is marked already is let go. Resolves when its page is there.
  function pin(what) {
    const same = view.pinned && what && ["job", "kind", "node"].every((key) => view.pinned[key] === what[key]);
    return mark(same ? null : what);
  }

  function mark(what) {
    view.pinned = what;
    repaint();
    for (const button of document.querySelectorAll("#kinds button")) button.setAttribute("aria-pressed", String(what?.kind === button.dataset.kind));
    const [[key, value]] = [...Object.entries(what ?? {}), [""]];
    byId("pinned").hidden = key !== "job" && key !== "node";
    byId("pinned").querySelector("b").textContent = `${key} ${value}`;
    noted();
    return viewerJob.show(app).then(viewerParts.refresh);
  }

  // Mark a job or a node, and go to its page.
  async function visit(what) {
    await mark(what);
    viewerParts.goTo("job");
    byId("job-title").focus({ preventScroll: true });
  }

  function jobLink(id, text) {
    return viewerWords.link(text, address({ pinned: { job: id } }), () => visit({ job: id }));
  }

  function nodeLink(node, text) {
    return viewerWords.link(text, address({ pinned: { node } }), () => visit({ node }));
  }

  // The moment at which a round of a run is shown; the one before it where it begins too soon after another run's.
  function tickOf(run, round) {
    const tick = run.roundAt.indexOf(round);
    return tick < 0 ? nearest(run.sim_time_s[round]) : tick;
  }

  function seekRound(run, round) {
    return seek(tickOf(run, round));
  }

  function roundLink(run, round, text) {
    return viewerWords.link(text, address({ round: tickOf(run, round) }), () => seekRound(run, round));
  }

  // ---- time

  // Show the moment `tick`; of several that are asked for at once only the last is drawn. Resolves when it stands there.
  async function show(tick) {
    const asked = performance.now();
    view.wanted = tick = Math.max(0, Math.min(shown.time_s.length - 1, Math.round(tick)));
    const chunks = await Promise.all(panels.map(({ frames }) => {
      const round = frames.run.roundAt[tick];
      return round < 0 ? null : frames.chunk(Math.floor(round / shown.chunkRounds));
    }));
    if (tick !== view.wanted) return false;
    view.tick = tick;
    panels.forEach((panel, index) => draw(panel, chunks[index], panel.frames.run.roundAt[tick]));
    slider.value = tick;
    clock.textContent = hours(shown.time_s[tick]);
    const first = panels[0].frames.run;
    const words = panels.length > 1 ? `${hours(shown.time_s[tick])} of simulated time` : `round ${tick} of ${first.rounds}, ${hours(shown.time_s[tick])}`;
    slider.setAttribute("aria-valuetext", words);
    for (const plot of plots.values()) markMoment(plot);
    viewerJob.tick(panels, now_s());
    if (view.pinned?.node !== undefined) viewerJob.show(app);
    noted();
    if (panels.some((panel) => panel.map.pointer)) viewerPointer.readout(app);
    view.cost_ms = performance.now() - asked;
    return true;
  }

  function draw(panel, chunk, round) {
    const { frames, map, facts } = panel, { run } = frames, { series } = run;
    if (chunk) frames.apply(chunk, round);
    else frames.clear();
    map.paint(panel.colours, view.idle);
    const at = (name) => (chunk && series[name] ? series[name][round] : null);
    const whole = (name) => (at(name) === null ? "–" : count(at(name)));
    facts.round.textContent = chunk ? count(round) : "ended";
    facts.total.textContent = chunk ? `last is ${count(run.rounds - 1)}` : `after round ${count(run.rounds - 1)}, ${hours(run.end_s)}`;
    facts.utilization.textContent = percent(at("utilization"));
    facts.running.textContent = whole("running");
    facts.queued.textContent = whole("queued");
    facts.moves.textContent = whole("moves");
    facts.completed.textContent = whole("completed");
    if (facts.frag_rate) facts.frag_rate.textContent = percent(at("frag_rate"));
    // The queue is written at once where it is in sight and the run stands still, else when the reader's eye can rest.
    clearTimeout(panel.queueTimer);
    const wait_ms = REST_MS - (view.playing ? performance.now() - panel.queueDrawn : 0);
    if (panel.queueInSight && (!view.playing || wait_ms <= 0)) queue(panel);
    else panel.queueTimer = setTimeout(() => queue(panel), wait_ms);
  }

  function queue(panel) {
    viewerTables.show(panel, app);
  }

  // ---- the marker on the charts

  function markMoment({ plot, line }) {
    const left = plot.valToPos(shown.time_s[view.tick] / 3600, "x"), width = plot.bbox.width / devicePixelRatio; // asks for no layout
    line.style.transform = left >= 0 && left <= width ? `translateX(${left}px)` : "scaleX(0)";
  }

  function nearest(time_s) {
    let low = 0, high = shown.time_s.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (shown.time_s[middle] <= time_s) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  document.addEventListener("chartdrawn", ({ target, detail: plot }) => {
    plot.ctx.canvas.setAttribute("role", "img");
    plot.ctx.canvas.setAttribute("aria-label", target.getAttribute("aria-label"));
    if (!target.closest("#time")) return;
    let entry = plots.get(target);
    if (entry?.plot !== plot) {
      entry = { plot, line: element("div", "", "now") };
      plots.set(target, entry);
      plot.over.append(entry.line);
      let pressed = 0;
      plot.over.addEventListener("pointerdown", (event) => { pressed = event.clientX; });
      plot.over.addEventListener("click", (event) => {
        if (Math.abs(event.clientX - pressed) < 4) seek(nearest(plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x") * 3600));
      });
    }
    markMoment(entry);
  });

  // ---- controls

  function seek(tick) {
    play(false);
    return show(tick);
  }

  let last = 0, exact = 0;
  async function advance(now) {
    if (!view.playing) return;
    exact += ((now - last) / 1000) * view.speed;
    last = now;
    const end = shown.time_s.length - 1, tick = Math.min(end, Math.floor(exact));
    if (tick !== view.tick) {
      for (const { frames } of panels) frames.ahead(frames.run.roundAt[Math.min(end, tick + shown.chunkRounds)]);
      await show(tick);
    }
    if (tick >= end) play(false);
    else requestAnimationFrame(advance);
  }

  function play(on) {
    if (on === view.playing) return;
    view.playing = on;
    const button = byId("play");
    button.setAttribute("aria-label", on ? "Pause" : "Play");
    button.firstElementChild.textContent = on ? "❚❚" : "▶";
    if (on) {
      exact = view.tick >= shown.time_s.length - 1 ? 0 : view.tick;
      last = performance.now();
      requestAnimationFrame(advance);
    } else for (const panel of panels) queue(panel);
  }

  function speed(step) {
    const index = Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(view.speed) + step));
    view.speed = SPEEDS[index];
    byId("speed").value = view.speed;
  }

  const now_s = () => shown.time_s[view.tick];

  function scheme(name) {
    view.scheme = name;
    byId("scheme").value = name;
    byId("kinds").hidden = byId("by-kind").hidden = name !== "kind";
    byId("by-job").hidden = name === "kind";
    repaint();
    if (view.pinned) viewerJob.show(app); // its page has the colours of the map
    noted();
  }

  function theme(name) {
    viewerTheme.set(name);
    byId("theme").value = name;
    noted();
  }

  // ---- the address of the page

  const state = (change) => ({ round: view.tick, pinned: view.pinned, view: view.part, scheme: view.scheme, theme: viewerTheme.name, ...change });
  const address = (change) => viewerLink.write(state(change));

  // Whether a run on the page has what an address asks to be marked.
  async function known({ job, node, kind }) {
    if (job !== undefined) return (await Promise.all(panels.map(({ details }) => details.open()))).some((details) => details.find(job) !== undefined);
    if (node !== undefined) return panels.some(({ map }) => map.gpusOf(node).length);
    return panels.some(({ frames: { run } }) => run.kinds.some(({ label }) => label === kind));
  }

  // Show what an address asks for, and where it says nothing what the page opens with.
  async function apply({ round = shown.start, pinned, view: part, scheme: colour = "kind", theme: light = "auto", faults }) {
    const told = [...faults], last = shown.time_s.length - 1;
    if (round > last) told.push(`round is ${round}; the last is ${last}`);
    const there = !pinned || (await known(pinned));
    if (!there) told.push(`there is no ${Object.entries(pinned)[0].join(" ")}`);
    theme(light);
    scheme(colour);
    await seek(round);
    if (view.pinned || pinned) await mark(there ? pinned : null); // else it would only be painted once more
    if (part) {
      panels.forEach(queue); // a table that fills later would move the part away
      viewerParts.goTo(part);
    }
    byId("linked").hidden = !told.length;
    byId("linked").textContent = told.length ? `The link of this page asks for what it cannot show: ${told.join("; ")}.` : "";
  }

  function controls() {
    slider.addEventListener("input", () => seek(+slider.value));
    byId("play").addEventListener("click", () => play(!view.playing));
    byId("speed").addEventListener("change", (event) => { view.speed = +event.target.value; });
    byId("scheme").addEventListener("change", (event) => scheme(event.target.value));
    byId("theme").addEventListener("change", (event) => theme(event.target.value));
    for (const button of document.querySelectorAll("#pinned, #job-close")) button.addEventListener("click", () => mark(null));
    viewerParts.wire((part) => { view.part = part; noted(); });
    viewerKeys.wire(app);
    viewerSearch.wire(app);
    addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  }

  function layout() {
    for (const panel of panels) panel.map.layout(Math.min(620, Math.max(440, innerHeight * 0.62)));
  }

  function wire(section, frames) {
    const facts = Object.fromEntries([...section.querySelectorAll("[data-fact]")].map((cell) => [cell.dataset.fact, cell]));
    const map = new viewerHeatmap.Heatmap(frames, section.querySelector(".map"));
    const panel = { section, frames, map, facts, details: new viewerDetails.Details(frames, shown), queueDrawn: 0, queueInSight: false };
    viewerTables.wire(panel, app);
    return panel;
  }

  async function start() {
    if (!("DecompressionStream" in window)) throw new Error("this browser cannot unpack it; Chrome 80, Firefox 113, Safari 16.4 or later can");
    const frames = await Promise.all(shown.runs.map((run) => new viewerFrames.Frames(run, shown.chunkRounds).open()));
    frames.forEach((run) => panels.push(wire(byId(run.run.key), run)));
    for (const panel of panels) for (const group of panel.map.groups) viewerPointer.listen(app, panel, group);
    const sight = new IntersectionObserver((entries) => {
      for (const { isIntersecting } of entries) for (const panel of panels) panel.queueInSight = isIntersecting;
      if (panels[0].queueInSight) panels.forEach(queue);
    });
    sight.observe(byId("queues"));
    viewerColours.legend(panels, pin);
    viewerExport.offer(app);
    controls();
    layout();
    await apply(viewerLink.read(location.hash));
    noted = viewerLink.wire(state, apply);
    noted();
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth === width) return;
      width = innerWidth;
      layout();
      show(view.tick);
    });
    document.addEventListener("themechange", repaint);
    view.ready_ms = performance.now();
    document.documentElement.dataset.viewer = "ready";
  }

  // What the other scripts may use; for tests and for the console, too.
  const app = { shown, view, panels, show: seek, seek, seekRound, play, speed, scheme, theme, pin, mark, visit, jobLink, nodeLink, roundLink, now_s };
  window.phasewise = app;
  start().catch((error) => {
    const note = byId("broken");
    note.hidden = false;
    note.textContent = `The viewer cannot show this run: ${error.message}.`;
    throw error;
  });
})();
