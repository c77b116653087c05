// The field in which a job or a node is looked for: suggestions below it, Enter goes to the first or the chosen one.
"use strict";
const viewerSearch = (() => {
  const { byId, element } = viewerWords;
  const MOST = 8;

  // Jobs of a run that fit what was typed, best first: the id, ids that begin so, then names and users with it in them.
  function jobsLike({ frames: { jobs, run }, details }, typed) {
    const exact = [], begins = [], inside = [], id = typed.replace(/^job\s*/, "");
    for (let job = 0; job < jobs.id.length && inside.length < MOST; job++) {
      const own = String(jobs.id[job]);
      const named = ["name", "user"].some((column) => details.word(column, job).toLowerCase().includes(typed));
      if (own === id) exact.push(job);
      else if (id && own.startsWith(id)) { if (begins.length < MOST) begins.push(job); }
      else if (named) inside.push(job);
    }
    return [...exact, ...begins, ...inside].slice(0, MOST).map((job) => ({
      job: jobs.id[job], text: `job ${jobs.id[job]}`, more: [run.jobTypes[jobs.type[job]], ...["name", "user"].map((column) => details.word(column, job))].filter(Boolean).join(" · "),
    }));
  }

  function suggestions(panels, text) {
    const typed = text.trim().toLowerCase(), node = /^n(?:ode)?\s*(\d+)$/.exec(typed), found = new Map();
    if (!typed) return [];
    for (const panel of panels) {
      if (node && panel.map.gpusOf(+node[1]).length) found.set(`node ${+node[1]}`, { node: +node[1], text: `node ${+node[1]}`, more: panel.map.placeOf(panel.map.gpusOf(+node[1])[0]).type });
      for (const entry of jobsLike(panel, typed)) if (!found.has(entry.text)) found.set(entry.text, entry);
    }
    return [...found.values()].slice(0, MOST);
  }

  function wire(app) {
    const field = byId("search"), list = byId("found");
    let entries = [], active = -1;

    function mark(index) {
      active = index;
      [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
      if (index < 0) field.removeAttribute("aria-activedescendant");
      else field.setAttribute("aria-activedescendant", `found-${index}`);
    }

    function close() {
      list.hidden = true;
      field.setAttribute("aria-expanded", "false");
      mark(-1);
    }

    function go(entry) {
      close();
      field.value = "";
      field.blur();
      app.visit(entry.node === undefined ? { job: entry.job } : { node: entry.node });
    }

    async function suggest() {
      await Promise.all(app.panels.map(({ details }) => details.open()));
      entries = suggestions(app.panels, field.value);
      list.replaceChildren(...entries.map((entry, index) => {
        const option = Object.assign(element("li"), { id: `found-${index}` });
        option.setAttribute("role", "option");
        option.append(element("b", entry.text), ` ${entry.more}`);
        option.addEventListener("pointerdown", (event) => { event.preventDefault(); go(entry); });
        return option;
      }));
      if (!entries.length && field.value.trim()) list.append(element("li", "No job or node like that.", "none"));
      list.hidden = !list.children.length;
      field.setAttribute("aria-expanded", String(!list.hidden));
      mark(-1);
    }

    field.addEventListener("input", suggest);
    field.addEventListener("focus", () => { if (field.value) suggest(); });
    field.addEventListener("blur", close);
    field.addEventListener("keydown", async (event) => {
      if (event.key === "Escape") { field.value = ""; field.blur(); }
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (entries.length) mark((active + (event.key === "ArrowDown" ? 1 : entries.length - (active < 0 ? 0 : 1))) % entries.length);
      } else if (event.key === "Enter") {
        event.preventDefault();
        const kept = Math.max(0, active);
        await suggest(); // what was typed since the last suggestions counts, too
        const chosen = entries[kept];
        if (chosen) go(chosen);
      }
    });
  }

  return { wire, suggestions };
})();
