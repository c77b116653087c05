// Take pictures of viewer pages in a real Chromium.
// usage: node picture_viewer.mjs CHROMIUM FOLDER NAME=PAGE.html[#round=N] ...
// Of each page FOLDER/NAME-light.png and NAME-dark.png: from its top to the end of the legend. After NAME may follow
// "+hover" (the pointer rests on a GPU), "+charts" (NAME-charts-*.png, too: what happened over the run), "+jct"
// (NAME-jct-*.png, too: completion times) or "+phone" (the page on a phone instead).
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { crc32, deflateSync, inflateSync } from "node:zlib";
import { chromium } from "playwright-core";

const [, , executablePath, folder, ...wanted] = process.argv;
const WIDE = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
const MARGIN = 24; // CSS pixels around what is shown

// The same picture, deflated as well as zlib can; the browser deflates quickly.
function smaller(png) {
  const chunks = [], data = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const end = at + 8 + png.readUInt32BE(at), name = png.toString("latin1", at + 4, at + 8);
    if (name === "IDAT") data.push(png.subarray(at + 8, end));
    else chunks.push([name, png.subarray(at + 8, end)]);
  }
  chunks.splice(-1, 0, ["IDAT", deflateSync(inflateSync(Buffer.concat(data)), { level: 9 })]);
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
  return { map: [0, part("legend")[1]], charts: part("time"), jct: part("jct"), height: document.documentElement.scrollHeight };
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
    const { height, ...parts } = await tab.evaluate(extent), { width } = WIDE.viewport;
    await tab.setViewportSize({ width, height }); // all of it is in sight, so that nothing scrolls away from the pointer
    if (extras.includes("hover")) await hover(tab);
    for (const part of ["map", ...extras].filter((name) => name in parts)) {
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
