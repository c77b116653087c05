// The viewer: one clock for its runs, the scrubber, colours, read-outs, the queue, and the marker on every chart.
"use strict";
(() => {
  const THIN = "\u202f", QUEUE_ROWS = 12, SPEEDS = [2, 8, 32, 128, 512], REST_MS = 200;
  const shown = JSON.parse(document.getElementById("viewer").textContent);
  const sharing = (share) => (share === 1000 ? "" : ` · ${(share / 10).toFixed(1)}${THIN}% of the GPU`);
  const byId = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const slider = byId("round"), clock = byId("clock"), tip = byId("gpu-tip"), spoken = byId("spoken");
  const panels = [], plots = new Map();
  const view = { tick: 0, wanted: 0, playing: false, speed: SPEEDS[2], scheme: "kind", pinned: null, cost_ms: 0, ready_ms: 0 };

  const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, THIN);
  const amount = (gpus) => (Number.isInteger(gpus) ? count(gpus) : gpus.toFixed(2));
  const hours = (seconds) => (seconds / 3600).toFixed(1) + THIN + "h";
  const span = (seconds) => (seconds < 7200 ? Math.round(seconds / 60) + THIN + "min" : hours(seconds));
  const percent = (share) => (share === null || share === undefined ? "–" : (100 * share).toFixed(1) + THIN + "%");
  const element = (tag, text, name) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: name ?? "" });

  // ---- colours

  // A CSS colour as the uint32 that ImageData holds.
  const probe = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  function pixel(colour) {
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    return new Uint32Array(probe.getImageData(0, 0, 1, 1).data.buffer)[0];
  }

  function scramble(id) {
    let bits = Math.imul(id ^ (id >>> 16), 0x45d9f3b);
    bits = Math.imul(bits ^ (bits >>> 13), 0x45d9f3b);
    return (bits ^ (bits >>> 16)) >>> 0;
  }

  // Ten colours, each as it is and mixed towards ink and paper.
  function shades() {
    const names = ["blue", "orange", "green", "pink", "sky", "vermilion", "olive", "wine", "yellow", "grey"];
    return [css("ink"), css("paper"), ""].flatMap((other) => names.map((name) => (other ? `color-mix(in srgb, ${css(name)} 68%, ${other})` : css(name))));
  }

  function recolour() {
    const idle = css("idle"), faded = (colour) => `color-mix(in srgb, ${colour} 22%, ${idle})`;
    view.idle = pixel(idle);
    const byJob = shades();
    const table = (colours) => ({ full: colours.map(pixel), faded: colours.map((colour) => pixel(faded(colour))) });
    const jobTable = table(byJob);
    for (const panel of panels) {
      const { jobs, run } = panel.frames, kindTable = table(run.kinds.map((kind) => css(kind.colour)));
      const marked = pinnedIn(panel);
      panel.colours = Uint32Array.from(jobs.id, (id, job) => {
        const chosen = view.scheme === "kind" ? kindTable : jobTable, key = view.scheme === "kind" ? jobs.kind[job] : scramble(id) % byJob.length;
        return (marked && !marked(job) ? chosen.faded : chosen.full)[key];
      });
    }
  }

  // Which jobs of a panel are marked: a function of the job's index, or null where nothing is.
  function pinnedIn(panel) {
    if (!view.pinned) return null;
    const { jobs, run } = panel.frames;
    if (view.pinned.job !== undefined) return (job) => jobs.id[job] === view.pinned.job;
    return (job) => run.kinds[jobs.kind[job]].label === view.pinned.kind;
  }

  function pin(what) {
    const same = view.pinned && what && view.pinned.job === what.job && view.pinned.kind === what.kind;
    view.pinned = same ? null : what;
    recolour();
    for (const panel of panels) panel.map.paint(panel.colours, view.idle);
    for (const button of document.querySelectorAll("#kinds button")) {
      button.setAttribute("aria-pressed", String(view.pinned?.kind === button.dataset.kind));
    }
    byId("pinned").hidden = view.pinned?.job === undefined;
    byId("pinned").firstElementChild.textContent = view.pinned?.job === undefined ? "" : `job ${view.pinned.job}`;
  }

  function legend() {
    const list = byId("kinds"), total = new Map();
    for (const panel of panels) for (const kind of panel.frames.run.kinds) {
      const known = total.get(kind.label) ?? { ...kind, jobs: 0 };
      known.jobs += kind.jobs;
      total.set(kind.label, known);
    }
    for (const kind of total.values()) {
      const button = Object.assign(element("button"), { type: "button" }), dot = element("i", "", `c-${kind.colour}`);
      button.dataset.kind = kind.label;
      button.setAttribute("aria-pressed", "false");
      button.append(dot, kind.label, element("small", count(kind.jobs)));
      button.addEventListener("click", () => pin({ kind: kind.label }));
      list.append(button);
    }
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
    for (const plot of plots.values()) mark(plot);
    if (panels.some((panel) => panel.map.pointer)) readout();
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
    const { frames, rows, bar } = panel, { jobs, run, at: round } = frames;
    clearTimeout(panel.queueTimer);
    panel.queueDrawn = performance.now();
    const waiting = round < 0 ? [] : frames.waiting(round), kinds = run.kinds.length;
    const byKind = run.kinds.map((_, kind) => (round < 0 ? 0 : frames.counts.waitingByKind[round * kinds + kind]));
    const gpus = round < 0 ? 0 : frames.counts.waitingMilli[round] / 1000;
    panel.waiting.textContent = waiting.length ? `${count(waiting.length)} job${waiting.length === 1 ? " waits" : "s wait"} for ${amount(gpus)} GPU${gpus === 1 ? "" : "s"}.` : round < 0 ? "The run has ended." : "No job waits.";
    byKind.forEach((number, kind) => {
      bar.children[kind].style.flexGrow = number;
      bar.children[kind].title = `${run.kinds[kind].label}: ${count(number)} waiting`;
    });
    const now_s = round < 0 ? 0 : run.sim_time_s[round];
    rows.forEach((cells, index) => {
      const job = waiting[index], there = job !== undefined;
      cells[0].parentElement.hidden = !there;
      if (!there) return;
      cells[0].textContent = jobs.id[job];
      cells[1].textContent = run.jobTypes[jobs.type[job]];
      cells[2].textContent = amount(jobs.milli[job] / 1000);
      cells[3].textContent = (jobs.arrival_s[job] / 3600).toFixed(1);
      cells[4].textContent = Math.max(0, (now_s - jobs.arrival_s[job]) / 3600).toFixed(1);
    });
    panel.more.textContent = waiting.length > rows.length ? `and ${count(waiting.length - rows.length)} more` : "";
  }

  // ---- reading a GPU

  // Finish-time fairness of a job that will complete, where the run has it.
  const fairness = (milli) => (milli ? `; in the end ρ ${(milli / 1000).toPrecision(3)}` : "");

  function lines(panel, group, index) {
    const { frames, map } = panel, { jobs, run } = frames, { node, gpu } = map.nodeOf(group, index);
    const head = `${group.name}, node ${node}, GPU ${gpu}`;
    const now_s = shown.time_s[view.tick];
    const stays = frames.held(group.firstGpu + index).map((slot) => {
      const job = frames.job[slot], since = frames.since[slot], since_s = run.sim_time_s[since];
      return {
        job, share: frames.share[slot], name: `job ${jobs.id[job]}`, type: run.jobTypes[jobs.type[job]],
        since: `since round ${count(since)} (${hours(since_s)}), for ${span(Math.max(0, now_s - since_s))}${fairness(jobs.rhoMilli[job])}`,
      };
    });
    return { head, stays };
  }

  function readout() {
    const panel = panels.find((candidate) => candidate.map.pointer);
    tip.hidden = !panel;
    if (!panel) return;
    const { group, index } = panel.map.pointer, { head, stays } = lines(panel, group, index), { kinds } = panel.frames.run;
    tip.replaceChildren(element("p", head));
    if (!stays.length) tip.append(element("div", "idle"));
    for (const stay of stays) {
      const entry = element("div"), dot = element("i");
      dot.style.background = view.scheme === "kind" ? css(kinds[panel.frames.jobs.kind[stay.job]].colour) : shades()[scramble(panel.frames.jobs.id[stay.job]) % 30];
      entry.append(dot, element("b", stay.name), ` ${stay.type}${sharing(stay.share)}`, element("small", stay.since));
      tip.append(entry);
    }
    const { x, y } = panel.map.centre(group, index), box = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16, innerWidth - box.width - 6)) + "px";
    tip.style.top = Math.max(6, y + 16 + box.height > innerHeight ? y - 16 - box.height : y + 16) + "px";
    if (document.activeElement === group.canvas) {
      spoken.textContent = [head, ...(stays.length ? stays.map((stay) => `${stay.name}, ${stay.type}${sharing(stay.share)}, ${stay.since}`) : ["idle"])].join(". ");
    }
  }

  function point(panel, group, index) {
    const { pointer } = panel.map;
    if (index < 0 ? !pointer : pointer && pointer.group === group && pointer.index === index) return;
    for (const other of panels) other.map.pointer = null;
    if (index >= 0) panel.map.pointer = { group, index, colour: css("ink") };
    panel.map.paint(panel.colours, view.idle);
    readout();
  }

  function choose(panel, group, index) {
    const [slot] = panel.frames.held(group.firstGpu + index);
    pin(slot === undefined ? null : { job: panel.frames.jobs.id[panel.frames.job[slot]] });
  }

  function listen(panel, group) {
    const { canvas } = group, { map } = panel;
    const under = (event) => map.hit(group, event.offsetX, event.offsetY);
    canvas.addEventListener("pointermove", (event) => point(panel, group, under(event)));
    canvas.addEventListener("pointerleave", () => point(panel, group, -1));
    canvas.addEventListener("click", (event) => { if (under(event) >= 0) choose(panel, group, under(event)); });
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) point(panel, group, group.last ?? 0); });
    canvas.addEventListener("blur", () => point(panel, group, -1));
    canvas.addEventListener("keydown", (event) => {
      const { pointer } = map, index = pointer && pointer.group === group ? pointer.index : (group.last ?? 0);
      if (event.key.startsWith("Arrow")) point(panel, group, (group.last = map.step(group, index, event.key)));
      else if (event.key === "Enter") choose(panel, group, index);
      else if (event.key === "Escape") point(panel, group, -1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  // ---- the marker on the charts

  function mark({ plot, line }) {
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
    mark(entry);
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

  function scheme(name) {
    view.scheme = name;
    byId("scheme").value = name;
    byId("kinds").hidden = byId("by-kind").hidden = name !== "kind";
    byId("by-job").hidden = name === "kind";
    recolour();
    for (const panel of panels) panel.map.paint(panel.colours, view.idle);
  }

  const KEYS = {
    " ": () => play(!view.playing), ",": () => seek(view.tick - 1), ".": () => seek(view.tick + 1),
    ArrowLeft: (by) => seek(view.tick - by), ArrowRight: (by) => seek(view.tick + by),
    PageUp: () => seek(view.tick - 64), PageDown: () => seek(view.tick + 64),
    Home: () => seek(0), End: () => seek(shown.time_s.length - 1),
    "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1),
    c: () => scheme(view.scheme === "kind" ? "job" : "kind"), Escape: () => pin(null),
  };

  function controls() {
    slider.addEventListener("input", () => seek(+slider.value));
    byId("play").addEventListener("click", () => play(!view.playing));
    byId("speed").addEventListener("change", (event) => { view.speed = +event.target.value; });
    byId("scheme").addEventListener("change", (event) => scheme(event.target.value));
    byId("pinned").addEventListener("click", () => pin(null));
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, summary, a")) return;
      if (event.key === " " && event.target.closest("button")) return;
      const act = KEYS[event.key];
      if (!act) return;
      event.preventDefault();
      act(event.shiftKey ? 10 : 1);
    });
    addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  }

  function layout() {
    for (const panel of panels) panel.map.layout(Math.min(620, Math.max(440, innerHeight * 0.62)));
  }

  function wire(section, frames) {
    const facts = Object.fromEntries([...section.querySelectorAll("[data-fact]")].map((cell) => [cell.dataset.fact, cell]));
    const map = new viewerHeatmap.Heatmap(frames, section.querySelector(".map"));
    const waits = byId(`${frames.run.key}-queue`), body = waits.querySelector("tbody");
    const rows = Array.from({ length: QUEUE_ROWS }, () => {
      const line = body.insertRow();
      line.hidden = true; // until a job waits
      return Array.from({ length: 5 }, (_, column) => Object.assign(line.insertCell(), { className: column < 2 ? "" : "n" }));
    });
    const bar = waits.querySelector(".stack");
    bar.append(...frames.run.kinds.map((kind) => element("span", "", `c-${kind.colour}`)));
    return { section, frames, map, facts, rows, bar, waiting: waits.querySelector(".waiting"), more: waits.querySelector(".more"), queueDrawn: 0, queueInSight: false };
  }

  async function start() {
    if (!("DecompressionStream" in window)) throw new Error("this browser cannot unpack it; Chrome 80, Firefox 113, Safari 16.4 or later can");
    const frames = await Promise.all(shown.runs.map((run) => new viewerFrames.Frames(run, shown.chunkRounds).open()));
    frames.forEach((run) => panels.push(wire(byId(run.run.key), run)));
    for (const panel of panels) for (const group of panel.map.groups) listen(panel, group);
    const sight = new IntersectionObserver((entries) => {
      for (const { isIntersecting } of entries) for (const panel of panels) panel.queueInSight = isIntersecting;
      if (panels[0].queueInSight) panels.forEach(queue);
    });
    sight.observe(byId("queues"));
    legend();
    controls();
    layout();
    scheme("kind");
    await show(Math.min(shown.time_s.length - 1, +(/round=(\d+)/.exec(location.hash) || [])[1] || 0));
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth === width) return;
      width = innerWidth;
      layout();
      show(view.tick);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { recolour(); show(view.tick); });
    view.ready_ms = performance.now();
    document.documentElement.dataset.viewer = "ready";
  }

  // For tests and for the console: what is shown, and a way to move it.
  window.phasewise = { view, panels, show: seek, play, pin, scheme };
  start().catch((error) => {
    const note = byId("broken");
    note.hidden = false;
    note.textContent = `The viewer cannot show this run: ${error.message}.`;
    throw error;
  });
})();
