// Reading a GPU of the map with the pointer or with the keys, and marking what is on it.
"use strict";
const viewerPointer = (() => {
  const { byId, count, css, element, hours, sharing, span } = viewerWords;
  const tip = byId("gpu-tip"), spoken = byId("spoken");

  // Finish-time fairness of a job that will complete, where the run has it.
  const fairness = (milli) => (milli ? `; in the end ρ ${(milli / 1000).toPrecision(3)}` : "");

  function lines(app, panel, group, index) {
    const { frames, map } = panel, { jobs, run } = frames, { node, gpu } = map.nodeOf(group, index);
    const head = `${group.name}, node ${node}, GPU ${gpu}`;
    const now_s = app.now_s();
    const stays = frames.held(group.firstGpu + index).map((slot) => {
      const job = frames.job[slot], since = frames.since[slot], since_s = run.sim_time_s[since];
      return {
        job, share: frames.share[slot], name: `job ${jobs.id[job]}`, type: run.jobTypes[jobs.type[job]],
        since: `since round ${count(since)} (${hours(since_s)}), for ${span(Math.max(0, now_s - since_s))}${fairness(jobs.rhoMilli[job])}`,
      };
    });
    return { head, stays };
  }

  function readout(app) {
    const { panels, view } = app, panel = panels.find((candidate) => candidate.map.pointer);
    tip.hidden = !panel;
    if (!panel) return;
    const { group, index } = panel.map.pointer, { head, stays } = lines(app, panel, group, index);
    tip.replaceChildren(element("p", head));
    if (!stays.length) tip.append(element("div", "idle"));
    for (const stay of stays) {
      const entry = element("div"), dot = element("i");
      dot.style.background = viewerColours.of(panel, stay.job, view.scheme);
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

  function point(app, panel, group, index) {
    const { pointer } = panel.map;
    if (index < 0 ? !pointer : pointer && pointer.group === group && pointer.index === index) return;
    for (const other of app.panels) other.map.pointer = null;
    if (index >= 0) panel.map.pointer = { group, index, colour: css("ink") };
    panel.map.paint(panel.colours, app.view.idle);
    readout(app);
  }

  // A click marks the job of a GPU, the next one of those that share it; with Shift the node.
  function choose(app, panel, group, index, ofNode) {
    if (ofNode) return app.pin({ node: panel.map.nodeOf(group, index).node });
    const ids = panel.frames.held(group.firstGpu + index).map((slot) => panel.frames.jobs.id[panel.frames.job[slot]]);
    const next = ids[ids.indexOf(app.view.pinned?.job) + 1];
    return app.mark(next === undefined ? null : { job: next });
  }

  function listen(app, panel, group) {
    const { canvas } = group, { map } = panel;
    const under = (event) => map.hit(group, event.offsetX, event.offsetY);
    canvas.addEventListener("pointermove", (event) => point(app, panel, group, under(event)));
    canvas.addEventListener("pointerleave", () => point(app, panel, group, -1));
    canvas.addEventListener("click", (event) => { if (under(event) >= 0) choose(app, panel, group, under(event), event.shiftKey); });
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) point(app, panel, group, group.last ?? 0); });
    canvas.addEventListener("blur", () => point(app, panel, group, -1));
    canvas.addEventListener("keydown", (event) => {
      const { pointer } = map, index = pointer && pointer.group === group ? pointer.index : (group.last ?? 0);
      const way = { w: "up", a: "left", s: "down", d: "right" }[event.key.toLowerCase()];
      if (way) point(app, panel, group, (group.last = map.step(group, index, way)));
      else if (event.key === "Enter") choose(app, panel, group, index, event.shiftKey);
      else if (event.key === "Escape") point(app, panel, group, -1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  return { listen, readout };
})();
