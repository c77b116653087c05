// How the viewer writes numbers, and the few ways in which it makes elements.
"use strict";
const viewerWords = (() => {
  const THIN = "\u202f";
  const byId = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const element = (tag, text, name) => Object.assign(document.createElement(tag), { textContent: text ?? "", className: name ?? "" });

  const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, THIN);
  const amount = (gpus) => (Number.isInteger(gpus) ? count(gpus) : gpus.toFixed(2));
  const hours = (seconds) => (seconds / 3600).toFixed(1) + THIN + "h";
  const span = (seconds) => (seconds < 120 ? Math.round(seconds) + THIN + "s" : seconds < 7200 ? Math.round(seconds / 60) + THIN + "min" : hours(seconds));
  const percent = (share) => (share === null || share === undefined ? "–" : (100 * share).toFixed(1) + THIN + "%");
  const many = (number, word) => `${amount(number)} ${word}${number === 1 ? "" : "s"}`;
  const sharing = (share) => (share === 1000 ? "" : ` · ${(share / 10).toFixed(1)}${THIN}% of the GPU`);

  // A link to another state of the page. A plain click goes there without loading anything; a copy of it works anywhere.
  function link(text, href, go) {
    const made = Object.assign(element("a", text), { href });
    made.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      event.stopPropagation();
      go();
    });
    return made;
  }

  return { THIN, byId, css, element, count, amount, hours, span, percent, many, sharing, link };
})();
