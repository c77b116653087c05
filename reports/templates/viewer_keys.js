// Keys. They move rounds wherever the focus is, but not while a reader types; the help lists them.
"use strict";
const viewerKeys = (() => {
  const { byId } = viewerWords;
  const typing = (target) => target.isContentEditable || target.matches("textarea, input:not([type=range], [type=checkbox], [type=radio], [type=button])");

  function moves({ seek, view, shown }) {
    const last = shown.time_s.length - 1, page = shown.chunkRounds;
    return {
      ArrowLeft: (by) => seek(view.tick - by), ArrowRight: (by) => seek(view.tick + by), PageUp: () => seek(view.tick - page), PageDown: () => seek(view.tick + page),
      Home: () => seek(0), End: () => seek(last),
    };
  }

  function letters({ seek, view, play, speed, scheme, pin }) {
    return {
      " ": () => play(!view.playing), ",": () => seek(view.tick - 1), ".": () => seek(view.tick + 1), "-": () => speed(-1), "+": () => speed(1), "=": () => speed(1),
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
      if (!LETTERS[key]) return;
      event.preventDefault();
      LETTERS[key]();
    }, true);
    byId("ask").addEventListener("click", help);
    byId("help").addEventListener("click", (event) => { if (event.target === byId("help") || event.target.closest("button")) byId("help").close(); });
  }

  return { wire };
})();
