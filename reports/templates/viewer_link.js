// The address of the page says what it shows, so that a copy of it, or a reload, shows the same: round, what is marked, which
// part of the page is in sight, colours, theme. `#round=500&job=12&view=queue&colour=job&theme=dark`
"use strict";
const viewerLink = (() => {
  const SETTLE_MS = 400, SCHEMES = ["kind", "job"];

  function write({ round, pinned, view, scheme, theme }) {
    const said = new URLSearchParams({ round });
    for (const [name, value] of Object.entries(pinned ?? {})) said.set(name, value);
    if (view !== viewerParts.NAMES[0]) said.set("view", view);
    if (scheme !== SCHEMES[0]) said.set("colour", scheme);
    if (theme !== viewerTheme.NAMES[0]) said.set("theme", theme);
    const time = new URLSearchParams(location.hash.slice(1)).get("time"); // CPU or wall: report.js keeps it there
    if (time !== null) said.set("time", time);
    return `#${said}`;
  }

  const whole = (text) => (/^\d{1,10}$/.test(text ?? "") ? +text : undefined);

  // What an address asks for; what it does not say, or says wrongly, is left undefined, and what is wrong is told.
  function read(hash) {
    const said = new URLSearchParams(hash.replace(/^#/, "")), faults = [], one = (name, allowed) => {
      const value = said.get(name);
      if (value !== null && !allowed.includes(value)) faults.push(`${name} is “${value}”; it can be ${allowed.join(", ")}`);
      return allowed.includes(value) ? value : undefined;
    };
    const number = (name) => {
      const value = whole(said.get(name));
      if (said.has(name) && value === undefined) faults.push(`${name} is “${said.get(name)}”; a whole number is expected`);
      return value;
    };
    const wanted = { round: number("round"), view: one("view", viewerParts.NAMES), scheme: one("colour", SCHEMES), theme: one("theme", viewerTheme.NAMES), pinned: null };
    const job = number("job"), node = number("node"), kind = said.get("kind");
    if (job !== undefined) wanted.pinned = { job };
    else if (node !== undefined) wanted.pinned = { node };
    else if (kind !== null) wanted.pinned = { kind };
    return { ...wanted, faults };
  }

  // Keep the address in step: `state()` says what is shown, `apply(wanted)` shows what a changed address asks for.
  function wire(state, apply) {
    let timer = 0;
    const keep = () => {
      timer = 0;
      const hash = write(state());
      if (hash === location.hash) return;
      try {
        history.replaceState(history.state, "", hash);
      } catch { /* a browser may refuse it, above all when it is asked too often: the next change tries again */ }
    };
    addEventListener("hashchange", () => apply(read(location.hash)));
    addEventListener("pagehide", keep);
    // A run that plays changes every frame; browsers allow a few changes of the address a second.
    return () => { timer ||= setTimeout(keep, SETTLE_MS); };
  }

  return { read, wire, write };
})();
