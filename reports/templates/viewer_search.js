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

  class Finder {
    constructor(app) {
      Object.assign(this, { app, field: byId("search"), list: byId("found"), entries: [], active: -1 });
      const { field } = this;
      field.addEventListener("input", () => this.suggest());
      field.addEventListener("focus", () => { if (field.value) this.suggest(); });
      field.addEventListener("blur", () => this.close());
      field.addEventListener("keydown", (event) => this.press(event));
    }

    mark(index) {
      this.active = index;
      [...this.list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
      if (index < 0) this.field.removeAttribute("aria-activedescendant");
      else this.field.setAttribute("aria-activedescendant", `found-${index}`);
    }

    close() {
      this.list.hidden = true;
      this.field.setAttribute("aria-expanded", "false");
      this.mark(-1);
    }

    go({ job, node }) {
      this.close();
      this.field.value = "";
      this.field.blur();
      this.app.visit(node === undefined ? { job } : { node });
    }

    option(entry, index) {
      const made = Object.assign(element("li"), { id: `found-${index}` });
      made.setAttribute("role", "option");
      made.append(element("b", entry.text), ` ${entry.more}`);
      made.addEventListener("pointerdown", (event) => { event.preventDefault(); this.go(entry); });
      return made;
    }

    async suggest() {
      const { app, field, list } = this;
      await Promise.all(app.panels.map(({ details }) => details.open()));
      this.entries = suggestions(app.panels, field.value);
      list.replaceChildren(...this.entries.map((entry, index) => this.option(entry, index)));
      if (!this.entries.length && field.value.trim()) list.append(element("li", "No job or node like that.", "none"));
      list.hidden = !list.children.length;
      field.setAttribute("aria-expanded", String(!list.hidden));
      this.mark(-1);
    }

    async press(event) {
      const { active, entries, field } = this;
      if (!["Escape", "ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
      event.preventDefault();
      if (event.key === "Escape") { field.value = ""; field.blur(); }
      else if (event.key === "ArrowDown") this.mark(entries.length ? (active + 1) % entries.length : -1);
      else if (event.key === "ArrowUp") this.mark(active < 1 ? entries.length - 1 : active - 1);
      else {
        await this.suggest(); // what was typed since the last suggestions counts, too
        const chosen = this.entries[Math.max(0, active)];
        if (chosen) this.go(chosen);
      }
    }
  }

  return { wire: (app) => new Finder(app) };
})();
