// The page of a job: what it is, when it waited, where it ran and with whom. Of a node: what is on its GPUs now.
"use strict";
const viewerJob = (() => {
  const { THIN, amount, byId, count, element, hours, many, span } = viewerWords;
  const ROWS = 12; // stretches that are listed at once
  const STATUS = {
    complete: "completed", failed: "failed", refused: "refused: it never came to run", active: "in the system when the run ended", "": "not recorded: the run was killed",
  };

  const optional = (value, write) => (value === null || value === undefined ? "–" : write(value));
  const rho = (milli) => (milli ? (milli / 1000).toPrecision(3) : "–");

  // A moment as a link to the round in which it lies.
  function moment(app, run, seconds) {
    const round = roundOf(run, seconds);
    return app.roundLink(run, round, `${hours(seconds)} (round ${count(round)})`);
  }

  function roundOf({ sim_time_s }, seconds) {
    let low = 0, high = sim_time_s.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (sim_time_s[middle] <= seconds) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function facts(panel, app, job) {
    const { frames, details } = panel, { jobs, run } = frames, list = element("dl", "", "facts");
    const say = (name, ...value) => {
      const entry = element("div"), shown = element("dd");
      shown.append(...value);
      entry.append(element("dt", name), shown);
      list.append(entry);
    };
    const number = (name) => details.number(name, job), word = (name) => details.word(name, job);
    const dot = element("i", "", "dot"), at = (name) => optional(number(name), (seconds) => moment(app, run, seconds));
    dot.style.background = viewerColours.of(panel, job, "kind");
    say("Type", dot, run.jobTypes[jobs.type[job]]);
    say("Status", STATUS[word("status")] ?? word("status"));
    say("Asks for", many(jobs.milli[job] / 1000, "GPU"), element("small", number("scale_factor") === null ? "" : `scale factor ${amount(number("scale_factor"))}`));
    for (const [name, column] of [["Name", "name"], ["User", "user"], ["Virtual cluster", "vc"], ["Class", "class"]]) if (word(column)) say(name, word(column));
    const start_s = number("first_start_s");
    say("Arrived", moment(app, run, jobs.arrival_s[job]));
    say("First start", at("first_start_s"), element("small", start_s === null ? "" : `after waiting ${span(Math.max(0, start_s - jobs.arrival_s[job]))}`));
    say("Left", at("end_s"));
    say("JCT", optional(number("jct_s"), (seconds) => (seconds / 3600).toPrecision(3) + THIN + "h"));
    say("Fairness ρ", rho(jobs.rhoMilli[job]));
    say("Moves", optional(number("moves"), count), element("small", number("restarts") === null ? "" : `restarts ${count(number("restarts"))}`));
    say("GPU time", optional(number("gpu_s"), (seconds) => (seconds / 3600).toPrecision(3) + THIN + "GPU" + THIN + "h"));
    if (![null, 1].includes(number("priority_weight"))) say("Weight", amount(number("priority_weight")));
    return list;
  }

  // The job's whole life as a bar: held in its colour, waiting in that of idle GPUs. A click goes to the moment.
  function life(panel, app, job, found, { from_s, to_s }) {
    const { run } = panel.frames, bar = element("div", "", "life"), long = Math.max(1e-9, to_s - from_s);
    const colour = viewerColours.of(panel, job, app.view.scheme);
    let held_s = 0;
    for (const { start, end, held } of found) {
      if (!held.length) continue;
      const part = element("span"), [first, last] = [begins_s(run, start), Math.min(begins_s(run, end), to_s)];
      held_s += Math.max(0, last - first);
      Object.assign(part.style, { left: `${(100 * (first - from_s)) / long}%`, width: `${(100 * (last - first)) / long}%`, background: colour });
      bar.append(part);
    }
    bar.append(element("b", "", "here"));
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `From ${hours(from_s)} to ${hours(to_s)}: it held GPUs for ${span(held_s)} of ${span(long)}`);
    bar.addEventListener("click", (event) => {
      const { left, width } = bar.getBoundingClientRect();
      app.seekRound(run, roundOf(run, from_s + (long * (event.clientX - left)) / width));
    });
    panel.life = { bar, from_s, long };
    const frame = element("div", "", "life-frame"), ends = element("p", "", "life-ends");
    ends.append(element("span", hours(from_s)), element("span", hours(to_s)));
    frame.append(bar, ends);
    return frame;
  }

  // Where the round that is shown lies in the lives on the page.
  function tick(panels, time_s) {
    for (const { life } of panels) {
      if (!life?.bar.isConnected) continue;
      const share = (time_s - life.from_s) / life.long, mark = life.bar.lastElementChild;
      mark.hidden = share < 0 || share > 1;
      mark.style.left = `${100 * share}%`;
    }
  }

  // The jobs on the same GPUs, each once, with the rounds where it was not there all the time.
  function company(panel, app, { start, end, others }) {
    const cell = element("td"), { jobs } = panel.frames, byJob = new Map();
    for (const stay of others) {
      const known = byJob.get(stay.job) ?? { from: end, to: start, share: stay.share };
      byJob.set(stay.job, { from: Math.min(known.from, stay.start), to: Math.max(known.to, stay.end), share: stay.share });
    }
    for (const [job, { from, to, share }] of byJob) {
      if (cell.childNodes.length) cell.append(", ");
      cell.append(app.jobLink(jobs.id[job], `job ${jobs.id[job]}`), ` ${(share / 10).toFixed(0)}${THIN}%`);
      if (from > start || to < end) cell.append(` in rounds ${count(Math.max(from, start))}–${count(Math.min(to, end) - 1)}`);
    }
    return cell;
  }

  function place(panel, app, held) {
    const cell = element("td"), byNode = new Map();
    for (const { gpu, share } of held) {
      const { node, gpu: own } = panel.map.placeOf(gpu);
      byNode.set(node, [...(byNode.get(node) ?? []), { own, share }]);
    }
    for (const [node, gpus] of byNode) {
      if (cell.childNodes.length) cell.append("; ");
      const share = gpus[0].share === 1000 ? "" : ` (${(gpus[0].share / 10).toFixed(0)}${THIN}%)`;
      cell.append(app.nodeLink(node, `node ${node}`), ` GPU ${gpus.map(({ own }) => own).join(", ")}${share}`);
    }
    return cell;
  }

  // Whether a stretch is on the same GPUs as the one before it, if perhaps with another share of them.
  const stayed = (stretch, before) => before !== undefined && stretch.held.map(({ gpu }) => gpu).join() === before.held.map(({ gpu }) => gpu).join();

  function stretchLine(panel, app, stretch, before) {
    const line = element("tr"), { run } = panel.frames, { start, end, held } = stretch, rounds = element("td"), type = element("td");
    rounds.append(app.roundLink(run, start, count(start)), end - start > 1 ? `–${count(end - 1)}` : "");
    line.append(rounds, element("td", hours(run.sim_time_s[start]), "n"), element("td", span(begins_s(run, end) - begins_s(run, start)), "n"));
    if (!held.length) {
      line.className = "gap";
      line.append(Object.assign(element("td", "waits"), { colSpan: 3 }));
      return line;
    }
    type.textContent = [...new Set(held.map(({ gpu }) => panel.map.placeOf(gpu).type))].join(", ") + (before?.held.length && !stayed(stretch, before) ? " · moved" : "");
    line.append(type, place(panel, app, held), company(panel, app, stretch));
    return line;
  }

  function intervals(panel, app, found) {
    const box = element("div", "", "scroll"), table = element("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    table.append(element("caption", "Where the job ran, and when", "unseen"));
    for (const [name, unit, side] of [["Rounds", "", ""], ["From", "simulated", "n"], ["For", "", "n"], ["Worker type", "", ""], ["GPUs", "", ""], ["With", "on the same GPU", ""]]) {
      const cell = element("th", name, side);
      if (unit) cell.append(element("i", unit));
      head.append(cell);
    }
    const add = (number) => body.append(...found.slice(body.rows.length, body.rows.length + number).map((stretch, i) => stretchLine(panel, app, stretch, found[body.rows.length + i - 1])));
    add(ROWS);
    box.append(table);
    if (found.length <= ROWS) return [box];
    const rest = element("p", `The first ${ROWS} of ${count(found.length)} lines. `, "note"), more = Object.assign(element("button", "show all", "plain"), { type: "button" });
    more.addEventListener("click", () => { add(found.length); rest.remove(); });
    rest.append(more);
    return [box, rest];
  }

  // When a round begins; after the last one, when that ended.
  const begins_s = (run, round) => (round < run.rounds ? run.sim_time_s[round] : run.end_s);

  // The stretches of a job in one sentence.
  function words(run, arrival_s, found) {
    const gaps = found.filter(({ held }) => !held.length), sets = found.filter((stretch, i) => stretch.held.length && !stayed(stretch, found[i - 1])).length;
    const gap_s = gaps.reduce((sum, { start, end }) => sum + begins_s(run, end) - begins_s(run, start), 0);
    const first = `It waited ${span(Math.max(0, begins_s(run, found[0].start) - arrival_s))} for its first round`;
    const later = gaps.length ? ` and ${span(gap_s)} in ${many(gaps.length, "wait")} after it` : "";
    const held = sets === 1 ? "held the same GPUs throughout" : `held ${sets} sets of GPUs, one after another`;
    return `${first}${later}, and ${held}${found.some(({ others }) => others.length) ? ", sharing them with other jobs" : ""}.`;
  }

  // What a run says of the job with an id, as elements.
  async function ofRun(panel, app, id) {
    const { frames, details } = panel, { jobs, run } = frames;
    await details.open();
    const job = details.find(id);
    if (job === undefined) return [element("p", `This run has no job ${id}.`, "none")];
    const from = details.heldFrom[job], to = details.heldTo[job];
    const found = to ? viewerHistory.stretches(await viewerHistory.staysOf(frames, job, from, to), job) : [];
    if (!found.length) return [facts(panel, app, job), element("p", "It never held a GPU.", "none")];
    const from_s = Math.min(jobs.arrival_s[job], run.sim_time_s[from]), to_s = Math.max(details.number("end_s", job) ?? run.end_s, run.sim_time_s[from]);
    const note = element("p", words(run, jobs.arrival_s[job], found), "note");
    return [facts(panel, app, job), life(panel, app, job, found, { from_s, to_s }), note, ...intervals(panel, app, found)];
  }

  // What is on the GPUs of a node in the round that is shown.
  function nodeOf(panel, app, node) {
    const gpus = panel.map.gpusOf(node), { frames } = panel, { jobs, run } = frames;
    if (!gpus.length) return [element("p", `This run has no node ${node}.`, "none")];
    const table = element("table"), head = table.createTHead().insertRow(), body = table.createTBody();
    for (const [name, side] of [["GPU", ""], ["Job", ""], ["Type", ""], ["Share", "n"], ["Since round", "n"]]) head.append(element("th", name, side));
    gpus.forEach((gpu, own) => {
      const held = frames.held(gpu);
      if (!held.length) body.insertRow().append(element("td", own), Object.assign(element("td", "idle"), { colSpan: 4 }));
      for (const slot of held) {
        const job = frames.job[slot], line = body.insertRow(), name = element("td");
        name.append(app.jobLink(jobs.id[job], String(jobs.id[job])));
        line.append(element("td", own), name, element("td", run.jobTypes[jobs.type[job]]), element("td", `${(frames.share[slot] / 10).toFixed(0)}${THIN}%`, "n"), element("td", count(frames.since[slot]), "n"));
      }
    });
    const box = element("div", "", "scroll");
    box.append(table);
    return [element("p", `${panel.map.placeOf(gpus[0]).type}, ${many(gpus.length, "GPU")}.`, "note"), box];
  }

  // Fill the page for what is marked, or hide it. Resolves when it stands there; a later call overtakes an earlier one.
  async function show(app) {
    const { panels, view } = app, section = byId("job"), { job, node } = view.pinned ?? {};
    const asked = (show.last = {});
    if (job === undefined && node === undefined) { section.hidden = true; return; }
    const parts = await Promise.all(panels.map((panel) => (job !== undefined ? ofRun(panel, app, job) : nodeOf(panel, app, node))));
    if (asked !== show.last) return;
    byId("job-title").textContent = job !== undefined ? `Job ${job}` : `Node ${node}`;
    panels.forEach((panel, index) => byId(`${panel.frames.run.key}-job`).replaceChildren(...parts[index]));
    section.hidden = false;
    tick(panels, app.now_s());
  }

  return { show, tick };
})();
