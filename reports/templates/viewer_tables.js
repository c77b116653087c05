// The jobs that wait in the round that is shown, and those that run: a line each, which leads to the job's page.
"use strict";
const viewerTables = (() => {
  const { amount, byId, count, element, hours, many, span } = viewerWords;
  const ROWS = 12;

  // A table's lines, made once and filled anew for every round.
  function lines(holder, columns, texts, go) {
    const body = holder.querySelector("tbody");
    body.addEventListener("click", (event) => {
      const line = event.target.closest("tr");
      if (line && !getSelection().toString()) go(+line.dataset.job);
    });
    return Array.from({ length: ROWS }, () => {
      const line = body.insertRow();
      line.hidden = true; // until there is a job
      return Array.from({ length: columns }, (_, column) => Object.assign(line.insertCell(), { className: column < texts ? "" : "n" }));
    });
  }

  function wire(panel, app) {
    const { key, kinds } = panel.frames.run, waits = byId(`${key}-queue`), runs = byId(`${key}-running`);
    const go = (id) => app.visit({ job: id });
    panel.bar = waits.querySelector(".stack");
    panel.bar.append(...kinds.map((kind) => element("span", "", `c-${kind.colour}`)));
    panel.waits = { rows: lines(waits, 5, 2, go), head: waits.querySelector(".waiting"), more: waits.querySelector(".more") };
    panel.runs = { rows: lines(runs, 5, 3, go), head: runs.querySelector(".waiting"), more: runs.querySelector(".more") };
  }

  function fill({ rows, more }, jobs, ids, app, write) {
    rows.forEach((cells, index) => {
      const job = jobs[index], line = cells[0].parentElement;
      line.hidden = job === undefined;
      if (line.hidden) return;
      line.dataset.job = ids(job);
      cells[0].replaceChildren(app.jobLink(ids(job), String(ids(job))));
      write(cells, job);
    });
    more.textContent = jobs.length > rows.length ? `and ${count(jobs.length - rows.length)} more` : "";
  }

  function queue(panel, app) {
    const { frames, bar, waits } = panel, { jobs, run, at: round } = frames;
    const waiting = round < 0 ? [] : frames.waiting(round), kinds = run.kinds.length;
    const gpus = round < 0 ? 0 : frames.counts.waitingMilli[round] / 1000;
    waits.head.textContent = waiting.length ? `${count(waiting.length)} job${waiting.length === 1 ? " waits" : "s wait"} for ${many(gpus, "GPU")}.` : round < 0 ? "The run has ended." : "No job waits.";
    run.kinds.forEach((kind, index) => {
      const number = round < 0 ? 0 : frames.counts.waitingByKind[round * kinds + index];
      bar.children[index].style.flexGrow = number;
      bar.children[index].title = `${kind.label}: ${count(number)} waiting`;
    });
    const now_s = round < 0 ? 0 : run.sim_time_s[round];
    fill(waits, waiting, (job) => jobs.id[job], app, (cells, job) => {
      cells[1].textContent = run.jobTypes[jobs.type[job]];
      cells[2].textContent = amount(jobs.milli[job] / 1000);
      cells[3].textContent = (jobs.arrival_s[job] / 3600).toFixed(1);
      cells[4].textContent = Math.max(0, (now_s - jobs.arrival_s[job]) / 3600).toFixed(1);
    });
  }

  function running(panel, app) {
    const { frames, map, runs } = panel, { jobs, run, at: round } = frames, held = round < 0 ? [] : frames.running();
    runs.head.textContent = held.length ? `${many(held.length, "job")} run${held.length === 1 ? "s" : ""} on ${many(held.reduce((sum, { milli }) => sum + milli, 0) / 1000, "GPU")}.` : round < 0 ? "The run has ended." : "No job runs.";
    const now_s = round < 0 ? 0 : run.sim_time_s[round];
    fill(runs, held, ({ job }) => jobs.id[job], app, (cells, { job, milli, gpus, since }) => {
      const nodes = [...new Set(gpus.map((gpu) => map.placeOf(gpu).node))];
      cells[1].textContent = run.jobTypes[jobs.type[job]];
      cells[2].textContent = nodes.length > 3 ? `${nodes.length} nodes` : `node ${nodes.join(", ")}`;
      cells[3].textContent = amount(milli / 1000);
      cells[4].textContent = span(Math.max(0, now_s - run.sim_time_s[since]));
      cells[4].title = `since round ${count(since)}, ${hours(run.sim_time_s[since])}`;
    });
  }

  function show(panel, app) {
    clearTimeout(panel.queueTimer);
    panel.queueDrawn = performance.now();
    queue(panel, app);
    running(panel, app);
  }

  return { wire, show };
})();
