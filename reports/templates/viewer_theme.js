// Light, dark, or as the reader's system has it. The style sheets know the system's theme alone, so a chosen one switches
// their rules on or off. Whoever draws on a canvas draws anew when the theme changes, and for paper.
"use strict";
const viewerTheme = (() => {
  const NAMES = ["auto", "light", "dark"];
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .filter(({ media }) => media && /prefers-color-scheme: *dark/.test(media.mediaText)).map(({ media }) => ({ media, own: media.mediaText }));
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = "auto";
  const told = () => document.dispatchEvent(new Event("themechange"));

  function set(name) {
    if (name === chosen || !NAMES.includes(name)) return;
    chosen = name;
    for (const { media, own } of rules) media.mediaText = name === "auto" ? own : name === "dark" ? "all" : "not all";
    document.documentElement.style.colorScheme = name === "auto" ? "" : name;
    told();
  }

  system.addEventListener("change", () => { if (chosen === "auto") told(); });
  // Paper is white, its edges too (see export.js).
  for (const [moment, scheme] of [["beforeprint", () => "light"], ["afterprint", () => (chosen === "auto" ? "" : chosen)]]) {
    addEventListener(moment, () => {
      document.documentElement.style.colorScheme = scheme();
      told();
    });
  }
  return { NAMES, set, get name() { return chosen; } };
})();
