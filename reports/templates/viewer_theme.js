// Light, dark, or as the reader's system has it. The style sheets know the system's theme alone, so a chosen one switches
// their rules on or off. Paper is always light: what is drawn on canvases is drawn anew for it.
"use strict";
const viewerTheme = (() => {
  const NAMES = ["auto", "light", "dark"];
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .filter(({ media }) => media && /prefers-color-scheme: *dark/.test(media.mediaText)).map(({ media }) => ({ media, own: media.mediaText }));
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = "auto", printing = false;

  function apply() {
    const name = printing ? "light" : chosen;
    for (const { media, own } of rules) media.mediaText = name === "auto" ? own : name === "dark" ? "all" : "not all";
    document.documentElement.style.colorScheme = name === "auto" ? "" : name;
    document.dispatchEvent(new Event("themechange"));
  }

  function set(name) {
    if (name === chosen || !NAMES.includes(name)) return;
    chosen = name;
    apply();
  }

  function print(on) {
    printing = on;
    document.documentElement.style.setProperty("--sheet", on ? document.documentElement.clientWidth + "px" : "");
    apply();
  }

  system.addEventListener("change", () => { if (chosen === "auto") document.dispatchEvent(new Event("themechange")); });
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  return { NAMES, set, get name() { return chosen; } };
})();
