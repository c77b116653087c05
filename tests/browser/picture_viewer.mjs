// Take pictures of viewer pages in a real Chromium.
// usage: node picture_viewer.mjs CHROMIUM FOLDER NAME=PAGE.html[#round=N] ...
// Of each page FOLDER/NAME-light.png and NAME-dark.png: from its top to the end of the legend. After NAME may follow
// "+hover" (the pointer rests on a GPU), "+charts" (NAME-charts-*.png, too: what happened over the run), "+jct"
// (NAME-jct-*.png, too: completion times), "+job" (NAME-job-*.png instead: the page of the marked job) or "+phone" (the page
// on a phone instead).
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { chromium } from "playwright-core";

const [, , executablePath, folder, ...wanted] = process.argv;
const WIDE = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
const MARGIN = 24; // CSS pixels around what is shown

// The lines of a PNG of 8 bits a channel without the filters that the browser chose: plain areas deflate better so.
function unfiltered(lines, stride, bytes) {
  for (let start = 0; start < lines.length; start += stride + 1) {
    const filter = lines[start], last = start - stride - 1;
    lines[start] = 0;
    for (let i = 1; i <= stride; i++) {
      const left = i > bytes ? lines[start + i - bytes] : 0, up = start ? lines[last + i] : 0, corner = start && i > bytes ? lines[last + i - bytes] : 0;
      const guess = left + up - corner, away = [left, up, corner].map((value) => Math.abs(guess - value));
      const paeth = away[0] <= away[1] && away[0] <= away[2] ? left : away[1] <= away[2] ? up : corner;
      lines[start + i] += [0, left, up, (left + up) >> 1, paeth][filter];
    }
  }
  return lines;
}

// The same picture in fewer bytes; the browser writes its pictures quickly.
function smaller(png) {
  const bytes = png[25] === 6 ? 4 : 3; // colour type: with or without alpha
  const chunks = [], data = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const end = at + 8 + png.readUInt32BE(at), name = png.toString("latin1", at + 4, at + 8);
    if (name === "IDAT") data.push(png.subarray(at + 8, end));
    else chunks.push([name, png.subarray(at + 8, end)]);
  }
  chunks.splice(-1, 0, ["IDAT", deflateSync(unfiltered(inflateSync(Buffer.concat(data)), png.readUInt32BE(16) * bytes, bytes), { level: 9, memLevel: 9 })]);
  const parts = chunks.map(([name, body]) => {
    const content = Buffer.concat([Buffer.from(name, "latin1"), body]), ends = Buffer.alloc(8);
    ends.writeUInt32BE(body.length, 0);
    ends.writeUInt32BE(crc32(content), 4);
    return Buffer.concat([ends.subarray(0, 4), content, ends.subarray(4)]);
  });
  return Buffer.concat([png.subarray(0, 8), ...parts]);
}

// Where the parts of the page lie, in CSS pixels from its top.
function extent() {
  const part = (id) => { const { top, bottom } = document.getElementById(id).getBoundingClientRect(); return [Math.floor(top + scrollY), Math.ceil(bottom + scrollY)]; };
  return { map: [0, part("legend")[1]], charts: part("time"), jct: part("jct"), job: part("job"), height: document.documentElement.scrollHeight };
}

// Point at a GPU that two jobs share, in the middle of the largest worker type that has one; else at any that is held.
async function hover(tab) {
  const at = await tab.evaluate(() => {
    const { frames, map } = window.phasewise.panels[0];
    for (const jobs of [2, 1]) {
      for (const group of [...map.groups].sort((a, b) => b.gpus - a.gpus)) {
        const found = Array.from({ length: group.gpus }, (_, i) => i).filter((i) => frames.held(group.firstGpu + i).length === jobs);
        if (found.length) return map.centre(group, found[found.length >> 1]);
      }
    }
    return null;
  });
  if (at) await tab.mouse.move(at.x, at.y);
}

async function take(browser, name, page, colorScheme) {
  const [plain, ...extras] = name.split("+"), phone = extras.includes("phone");
  const context = await browser.newContext({ ...(phone ? PHONE : WIDE), colorScheme });
  const tab = await context.newPage();
  const [file, place = ""] = page.split("#");
  await tab.goto(pathToFileURL(file).href + (place && `#${place}`));
  await tab.waitForFunction(() => document.documentElement.dataset.viewer === "ready");
  await tab.evaluate(() => document.fonts.ready);
  if (phone) writeFileSync(`${folder}/${plain}-${colorScheme}.png`, smaller(await tab.screenshot()));
  else {
    const { width } = WIDE.viewport;
    await tab.waitForFunction(() => window.phasewise.panels.every((panel) => panel.queueDrawn > 0));
    const { height, ...parts } = await tab.evaluate(extent);
    await tab.setViewportSize({ width, height }); // all of it is in sight, so that nothing scrolls away from the pointer
    if (extras.includes("hover")) await hover(tab);
    for (const part of (extras.includes("job") ? ["job"] : ["map", ...extras]).filter((name) => name in parts)) {
      const [top, bottom] = parts[part], from = Math.max(0, top - MARGIN), path = `${folder}/${plain}${part === "map" ? "" : `-${part}`}-${colorScheme}.png`;
      writeFileSync(path, smaller(await tab.screenshot({ clip: { x: 0, y: from, width, height: bottom + MARGIN - from } })));
      await tab.mouse.move(1, 1);
    }
  }
  await context.close();
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
for (const wish of wanted) {
  const [name, page] = wish.split("=", 1).concat(wish.slice(wish.indexOf("=") + 1));
  for (const scheme of ["light", "dark"]) await take(browser, name, page, scheme);
}
await browser.close();
