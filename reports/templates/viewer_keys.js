// Keys. They move rounds wherever the focus is, but not while a reader types; the help lists them.
"use strict";
const viewerKeys = (() => {
  const { byId } = viewerWords;
  const typing = (target) => target.isContentEditable || target.matches("textarea, input:not([type=range], [type=checkbox], [type=radio], [type=button])");

  // From the round that is wanted, not the one that is shown: keys that follow each other quickly add up.
  function moves({ seek, view, shown }) {
    const last = shown.time_s.length - 1, page = shown.chunkRounds;
    return {
      ArrowLeft: (by) => seek(view.wanted - by), ArrowRight: (by) => seek(view.wanted + by), PageUp: () => seek(view.wanted - page), PageDown: () => seek(view.wanted + page),
      Home: () => seek(0), End: () => seek(last),
    };
  }

  function letters({ seek, view, play, speed, scheme, pin }) {
    return {
      " ": () => play(!view.playing), ",": () => seek(view.wanted - 1), ".": () => seek(view.wanted + 1), "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1),
      c: () => scheme(view.scheme === "kind" ? "job" : "kind"), "/": () => byId("search").focus(), "?": help, Escape: () => pin(null),
    };
  }

  function help() {
    const dialog = byId("help");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }

  function wire(app) {
    const MOVES = moves(app), LETTERS = letters(app);
    // As the event comes down to its target: a chart, a menu or the slider would else keep the key for itself.
    document.addEventListener("keydown", (event) => {
      const { target, key } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || typing(target)) return;
      const held = MOVES[key];
      if (held) {
        event.preventDefault();
        event.stopPropagation();
        held(event.shiftKey ? 10 : 1);
        return;
      }
      if (target.closest("select, dialog") || (key === " " && target.closest("button, summary, a"))) return;
      const act = LETTERS[key] ?? LETTERS[key.toLowerCase()];
      if (!act) return;
      event.preventDefault();
      act();
    }, true);
    byId("ask").addEventListener("click", help);
    byId("help").addEventListener("click", (event) => { if (event.target === byId("help") || event.target.closest("button")) byId("help").close(); });
  }

  return { wire };
})();
