// Which colour each job has on the map: of its type or of its id, paler where another is marked. And the legend.
"use strict";
const viewerColours = (() => {
  const { byId, count, css, element } = viewerWords;
  const NAMES = ["blue", "orange", "green", "pink", "sky", "vermilion", "olive", "wine", "yellow", "grey"];

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

  // Ten colours, each as it is and mixed towards ink and paper: in words of the style sheet, which follow the theme.
  const SHADES = ["var(--ink)", "var(--paper)", ""].flatMap((other) => NAMES.map((name) => (other ? `color-mix(in srgb, var(--${name}) 68%, ${other})` : `var(--${name})`)));
  const now = (colour) => colour.replace(/var\(--([a-z]+)\)/g, (_, name) => css(name));

  // The colour of a job in a scheme, in words of the style sheet.
  function of({ frames: { jobs, run } }, job, scheme) {
    return scheme === "kind" ? `var(--${run.kinds[jobs.kind[job]].colour})` : SHADES[scramble(jobs.id[job]) % SHADES.length];
  }

  // Which jobs of a panel are marked: a function of the job's index, or null where none is.
  function markedIn({ jobs, run }, pinned) {
    if (pinned?.job !== undefined) return (job) => jobs.id[job] === pinned.job;
    if (pinned?.kind !== undefined) return (job) => run.kinds[jobs.kind[job]].label === pinned.kind;
    return null;
  }

  function recolour({ panels, view }) {
    const idle = css("idle"), faded = (colour) => `color-mix(in srgb, ${colour} 22%, ${idle})`;
    view.idle = pixel(idle);
    const byJob = SHADES.map(now);
    const table = (colours) => ({ full: colours.map(pixel), faded: colours.map((colour) => pixel(faded(colour))) });
    const jobTable = table(byJob);
    for (const panel of panels) {
      const { jobs, run } = panel.frames, kindTable = table(run.kinds.map((kind) => css(kind.colour)));
      const marked = markedIn(panel.frames, view.pinned);
      panel.colours = Uint32Array.from(jobs.id, (id, job) => {
        const chosen = view.scheme === "kind" ? kindTable : jobTable, key = view.scheme === "kind" ? jobs.kind[job] : scramble(id) % byJob.length;
        return (marked && !marked(job) ? chosen.faded : chosen.full)[key];
      });
    }
  }

  function legend(panels, pin) {
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
      button.append(dot, kind.label, " ", element("small", count(kind.jobs)));
      button.addEventListener("click", () => pin({ kind: kind.label }));
      list.append(button);
    }
  }

  return { of, recolour, legend };
})();
