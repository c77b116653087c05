// Open pages as browsers with other fonts would show them, and print as JSON where text is cut, overlaps or runs off the page.
// usage: node inspect_fonts.mjs CHROMIUM WISHES.json [FOLDER]
// wishes: a list of {"page": "PAGE.html", "ready": "name of the data attribute that says ready", "views": ["SIZE, HAND", ...]}.
// With FOLDER, pictures are put there.
// A hand is a way of writing: letters set apart or together by parts of their size, in the page and on canvases alike, or a
// generic family. So the same page is seen wide, narrow and heavy whatever fonts this machine has.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, wishFile, folder] = process.argv;
const SIZES = { phone: { width: 390, height: 844 }, tablet: { width: 768, height: 1024 }, wide: { width: 1280, height: 900 } };
const HANDS = { narrow: { spacing: -0.05 }, wide: { spacing: 0.14 }, typewriter: { family: "monospace" } };

// Before the page's own scripts: canvases write in the same hand, and what they write is noted until they are wiped.
function prepare({ spacing = 0, family }) {
  const notes = (window.canvasNotes = new Map()), prototype = CanvasRenderingContext2D.prototype;
  const inHand = (context, call) => {
    const size = parseFloat(/([\d.]+)px/.exec(context.font)[1]);
    if (family) context.font = context.font.replace(/px.*/, `px ${family}`);
    context.letterSpacing = `${spacing * size}px`;
    return call();
  };
  const { fillText, measureText, clearRect } = prototype;
  prototype.measureText = function (...given) { return inHand(this, () => measureText.apply(this, given)); };
  prototype.clearRect = function (...given) { notes.delete(this.canvas); return clearRect.apply(this, given); };
  prototype.fillText = function (text, x, y, ...given) {
    return inHand(this, () => {
      const width = measureText.call(this, text).width, { a, b, c, d, e, f } = this.getTransform();
      const size = parseFloat(/([\d.]+)px/.exec(this.font)[1]);
      const left = { left: 0, start: 0, center: -width / 2, right: -width, end: -width }[this.textAlign];
      const top = { top: 0, hanging: 0, middle: -size / 2, alphabetic: -size, bottom: -size }[this.textBaseline];
      const corners = [[left, top], [left + width, top + size]].map(([u, v]) => [a * (x + u) + c * (y + v) + e, b * (x + u) + d * (y + v) + f]);
      const [xs, ys] = [corners.map((corner) => corner[0]), corners.map((corner) => corner[1])];
      const box = { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
      if (text.trim()) notes.set(this.canvas, [...(notes.get(this.canvas) ?? []), { text, ...box }]);
      return fillText.call(this, text, x, y, ...given);
    });
  };
}

function inspect() {
  const faults = { cut: [], overlaps: [], off: [] };
  const clash = (a, b) => a.left < b.right - 1.5 && b.left < a.right - 1.5 && a.top < b.bottom - 1.5 && b.top < a.bottom - 1.5;
  // Each line of each piece of text, with the parts of it that its surroundings let be seen.
  const lines = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const holder = node.parentElement, text = node.textContent.trim();
    if (!text || holder.closest("script, style, option, .unseen, svg") || !holder.checkVisibility({ visibilityProperty: true })) continue;
    range.selectNodeContents(node);
    for (const { left, right, top, bottom } of range.getClientRects()) {
      if (right - left < 0.5) continue;
      // How tall a box a font asks for says little about its letters; their size does.
      const middle = (top + bottom) / 2, half = 0.4 * parseFloat(getComputedStyle(holder).fontSize);
      const line = { node, text, left, right, top: middle - half, bottom: middle + half }, seen = { ...line };
      let scrolls = false;
      for (let around = holder; around && around !== document.body; around = around.parentElement) {
        const { overflowX, overflowY, textOverflow } = getComputedStyle(around);
        if (overflowX === "visible" && overflowY === "visible") continue;
        const box = around.getBoundingClientRect();
        scrolls ||= overflowX === "auto" || overflowX === "scroll" || textOverflow === "ellipsis";
        Object.assign(seen, { left: Math.max(seen.left, box.left), right: Math.min(seen.right, box.right), top: Math.max(seen.top, box.top), bottom: Math.min(seen.bottom, box.bottom) });
      }
      if (seen.right - seen.left < 1 || seen.bottom - seen.top < 1) continue; // not there at all, which is allowed
      const whole = seen.left - 1 <= left && seen.right + 1 >= right && seen.top - 1 <= line.top && seen.bottom + 1 >= line.bottom;
      if (!whole && !scrolls) faults.cut.push(text);
      if (!scrolls && (right > innerWidth + 1 || left < -1)) faults.off.push(text);
      lines.push(seen);
    }
  }
  // What is laid out by itself does not make its surroundings grow: it would run into its neighbour.
  for (const box of document.querySelectorAll("*")) {
    if (/size|strict/.test(getComputedStyle(box).contain) && (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1)) faults.cut.push(box.textContent);
  }
  lines.sort((a, b) => a.top - b.top);
  lines.forEach((a, i) => {
    for (let j = i + 1; j < lines.length && lines[j].top < a.bottom; j++) if (clash(a, lines[j]) && a.node !== lines[j].node) faults.overlaps.push([a.text, lines[j].text]);
  });
  for (const [canvas, notes] of window.canvasNotes) {
    if (!canvas.isConnected) continue;
    for (const note of notes) if (note.left < -1 || note.top < -1 || note.right > canvas.width + 1 || note.bottom > canvas.height + 1) faults.cut.push(`on a canvas: ${note.text}`);
    notes.forEach((a, i) => notes.slice(i + 1).forEach((b) => { if (clash(a, b)) faults.overlaps.push([`on a canvas: ${a.text}`, b.text]); }));
  }
  const written = [...window.canvasNotes.keys()].filter((canvas) => canvas.isConnected).length;
  return { ...faults, overflow: document.documentElement.scrollWidth - innerWidth, lines: lines.length, written };
}

// A page is ready before all of it is drawn: what waits for a frame or a quiet moment has come when nothing more does.
async function settled() {
  const letters = () => document.body.innerText.length;
  for (let before = -1, now = letters(); now !== before; before = now, now = letters()) {
    await new Promise((done) => requestIdleCallback(() => setTimeout(done, 100)));
  }
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const wishes = JSON.parse(readFileSync(wishFile, "utf-8"));
const reports = wishes.map(() => ({}));
// One tab a view, which all pages are opened in one after another: to start a tab takes longer than to look at a page.
for (const view of new Set(wishes.flatMap((wish) => wish.views))) {
  const [size, hand] = view.split(", "), viewport = SIZES[size], how = HANDS[hand];
  const context = await browser.newContext({ viewport }), tab = await context.newPage();
  await tab.addInitScript(prepare, how);
  await tab.addInitScript(({ spacing, family }) => {
    const style = new CSSStyleSheet();
    style.replaceSync(`* { ${spacing ? `letter-spacing: ${spacing}em !important;` : ""} ${family ? `font-family: ${family} !important;` : ""} }`);
    document.adoptedStyleSheets = [style];
  }, how);
  for (const [index, { page, ready, views }] of wishes.entries()) {
    if (!views.includes(view)) continue;
    await tab.goto(pathToFileURL(page).href);
    await tab.waitForFunction((name) => document.documentElement.dataset[name], ready, { timeout: 30000 });
    await tab.evaluate(settled);
    reports[index][view] = await tab.evaluate(inspect);
    if (folder) await tab.screenshot({ path: `${folder}/${page.split("/").pop().replace(".html", "")}-${size}-${hand}.png`, fullPage: true });
  }
  await context.close();
}
await browser.close();
console.log(JSON.stringify(reports));
