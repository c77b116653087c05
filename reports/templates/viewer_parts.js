// The parts of the page: going to one, and knowing which one is in sight.
"use strict";
const viewerParts = (() => {
  const REST_MS = 150;
  const sections = [...document.querySelectorAll("[data-part]")], NAMES = sections.map((section) => section.dataset.part);
  const anchors = [...document.querySelectorAll("#parts a")];
  let told = () => {}, current = NAMES[0], timer = 0;

  function set(part) {
    for (const anchor of anchors) {
      if (anchor.dataset.to === part) anchor.setAttribute("aria-current", "true");
      else anchor.removeAttribute("aria-current");
    }
    if (part === current) return;
    current = part;
    told(part);
  }

  // Where a part's first line stands under what sticks to the top.
  const margin = (section) => parseFloat(getComputedStyle(section).scrollMarginTop) + 2;

  // The last part that has come up to the top. At the end of the page a part that cannot come so far stays the one gone to.
  function look() {
    timer = 0;
    const passed = sections.filter((section) => !section.hidden && section.getBoundingClientRect().top <= margin(section));
    const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
    if (!atEnd || !NAMES.slice(NAMES.indexOf(passed.at(-1)?.dataset.part)).includes(current)) set(passed.at(-1)?.dataset.part ?? NAMES[0]);
  }

  function goTo(part) {
    const section = sections[NAMES.indexOf(part)];
    if (!section || section.hidden) return;
    if (section === sections[0]) scrollTo(0, 0);
    else section.scrollIntoView({ block: "start" });
    set(part);
  }

  // A part that has nothing to show has no link.
  function refresh() {
    for (const anchor of anchors) anchor.hidden = sections[NAMES.indexOf(anchor.dataset.to)].hidden;
  }

  function wire(changed) {
    told = changed;
    for (const anchor of anchors) anchor.addEventListener("click", (event) => { event.preventDefault(); goTo(anchor.dataset.to); });
    addEventListener("scroll", () => { timer ||= setTimeout(look, REST_MS); }, { passive: true });
    refresh();
    set(current);
  }

  return { NAMES, goTo, refresh, wire };
})();
