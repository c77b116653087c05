// What a reader does on viewer pages in a real Chromium: keys, links, search, the pages of jobs and nodes; printed as JSON.
// usage: node inspect_viewer_reader.mjs CHROMIUM ONE.html TWO.html
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, one, two] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const WIDE = { viewport: { width: 1440, height: 900 } }, PHONE = { viewport: { width: 390, height: 844 } };
const problems = [], report = { problems };
const ready = (tab) => tab.waitForFunction(() => document.documentElement.dataset.viewer === "ready", null, { timeout: 120000 });

async function open(page, hash = "", options = WIDE) {
  const tab = await (await browser.newContext({ colorScheme: "light", ...options })).newPage();
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
  tab.on("pageerror", (error) => problems.push(error.message));
  await tab.goto(pathToFileURL(page).href + hash);
  await ready(tab);
  return tab;
}

// The round that is shown, once what was asked for stands there.
async function at(tab) {
  await tab.waitForFunction(() => window.phasewise.view.tick === window.phasewise.view.wanted, null, { timeout: 120000 });
  return tab.evaluate(() => window.phasewise.view.tick);
}

// The address when it has come to rest: it follows what is shown within a fraction of a second.
async function address(tab) {
  await tab.waitForTimeout(900);
  return decodeURIComponent(new URL(tab.url()).hash);
}

const pressed = async (tab, key) => { await tab.keyboard.press(key); return at(tab); };
const overflow = (tab) => tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);

// Each control is used as a reader would, then keys are pressed: by how many rounds do they move?
async function keys() {
  const tab = await open(one, "#round=20"), moved = {};
  const uses = {
    "a button": () => tab.locator("#kinds button").first().click(),
    "a menu": async () => { await tab.locator("#speed").focus(); await tab.locator("#speed").selectOption("8"); },
    "the slider": () => tab.locator("#round").click({ position: { x: 90, y: 16 } }),
    "a chart": () => tab.locator("#time .u-over").first().click({ position: { x: 120, y: 60 } }),
    "the map": () => tab.locator(".map canvas").first().click({ position: { x: 9, y: 9 } }),
    "a part": () => tab.locator("#parts a").nth(2).click(),
    "a line of the queue": () => tab.locator("#r0-running tbody tr").first().click(),
  };
  for (const [name, use] of Object.entries(uses)) {
    await use();
    const from = await at(tab), speed = await tab.locator("#speed").inputValue();
    moved[name] = [(await pressed(tab, "ArrowRight")) - from, (await pressed(tab, "ArrowLeft")) - from, (await pressed(tab, "Shift+ArrowRight")) - from, await pressed(tab, "End"), await pressed(tab, "Home")];
    moved[name].push(speed === (await tab.locator("#speed").inputValue()));
  }
  await tab.evaluate(() => { for (let i = 0; i < 5; i++) document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true })); });
  const quick = await at(tab);
  await tab.keyboard.press("/");
  await tab.keyboard.type("12");
  const from = await at(tab);
  const typed = [(await pressed(tab, "ArrowLeft")) - from, (await pressed(tab, "Home")) - from, await tab.locator("#search").inputValue()];
  await tab.keyboard.press("Escape");
  await tab.keyboard.press("?");
  const help = await tab.locator("#help").innerText(), phone = await overflow(tab);
  await tab.keyboard.press("Escape");
  report.keys = { moved, quick, typed, help, phone, closed: !(await tab.locator("#help").isVisible()) };
  await tab.context().close();
}

async function shown(tab) {
  return tab.evaluate(() => {
    const { view } = window.phasewise;
    return { round: view.tick, pinned: view.pinned, part: view.part, scheme: view.scheme, theme: document.getElementById("theme").value, background: getComputedStyle(document.body).backgroundColor };
  });
}

async function links() {
  const tab = await open(one);
  const opened = { ...(await shown(tab)), lede: await tab.locator("main > header .lede").innerText(), address: await address(tab) };
  await tab.keyboard.press("Home");
  await tab.keyboard.press("Shift+ArrowRight");
  await tab.locator("#scheme").selectOption("job");
  await tab.locator("#theme").selectOption("dark");
  await tab.locator("#search").fill("7");
  await tab.keyboard.press("Enter");
  await tab.locator("#job-title", { hasText: "Job 7" }).waitFor();
  await tab.locator("#parts a", { hasText: "Over the run" }).click();
  const kept = await address(tab), before = await shown(tab);
  await tab.reload();
  await ready(tab);
  const after = await shown(tab), scrolled = await tab.evaluate(() => Math.abs(document.getElementById("time").getBoundingClientRect().top) < innerHeight / 2);
  await tab.evaluate(() => { location.hash = "#round=33&node=2"; });
  await tab.locator("#job-title", { hasText: "Node 2" }).waitFor();
  await at(tab);
  const changed = await shown(tab);
  await tab.evaluate(() => { location.hash = "#round=99999&job=4711&view=nowhere&theme=x"; });
  await tab.locator("#linked").waitFor({ state: "visible" });
  const wrong = { ...(await shown(tab)), told: await tab.locator("#linked").innerText() };
  await tab.evaluate(() => { location.hash = "#round=20&time=wall"; });
  await tab.waitForFunction(() => document.documentElement.dataset.time === "wall");
  await at(tab);
  await tab.keyboard.press("ArrowRight");
  const wall = await address(tab);
  report.links = { wall, opened, kept, before, after, scrolled, changed, wrong };
  await tab.context().close();
}

const jobPage = (tab) => tab.evaluate(() => ({
  title: document.getElementById("job-title").textContent, focused: document.activeElement.id,
  facts: Object.fromEntries([...document.querySelectorAll("#r0-job .facts > div")].map((entry) => [entry.firstElementChild.textContent, entry.lastElementChild.textContent])),
  rows: [...document.querySelectorAll("#r0-job tbody tr")].map((line) => [...line.cells].map((cell) => cell.textContent)),
  life: document.querySelector("#r0-job .life")?.getAttribute("aria-label"),
}));

async function find(tab, text, key = "Enter") {
  await tab.locator("#search").fill(text);
  await tab.locator("#found li").first().waitFor();
  const suggestions = await tab.locator("#found li").allInnerTexts();
  if (key !== "Enter") await tab.keyboard.press(key);
  await tab.keyboard.press("Enter");
  await tab.waitForFunction(() => document.getElementById("found").hidden && document.activeElement.id === "job-title", null, { timeout: 120000 });
  return { suggestions, ...(await jobPage(tab)) };
}

async function jobs() {
  const tab = await open(one, "#round=20");
  report.found = { id: await find(tab, "job 5"), name: await find(tab, "TRAIN-0011"), user: await find(tab, "grace", "ArrowDown") };
  await tab.locator("#search").fill("nobody");
  report.found.none = await tab.locator("#found").innerText();
  await tab.keyboard.press("Escape");
  report.team = await find(tab, "2");
  await tab.locator("#r0-job tbody a").first().click();
  report.team.round = await at(tab);
  await tab.keyboard.press("Shift+ArrowRight"); // no longer there
  await tab.locator("#r0-job tbody a", { hasText: "node" }).first().click();
  await tab.locator("#job-title", { hasText: "Node 1" }).waitFor();
  const both = 14; // both members of the second team hold the GPU
  await tab.evaluate((round) => window.phasewise.show(round), both);
  await tab.waitForFunction(() => document.querySelectorAll("#r0-job tbody tr").length > 1);
  report.node = await jobPage(tab);
  const click = async (modifiers) => {
    const { x, y } = await tab.evaluate(() => {
      const { map } = window.phasewise.panels[0], [gpu] = map.gpusOf(1), group = map.groupOf(gpu);
      group.canvas.scrollIntoView({ block: "center" });
      return map.centre(group, gpu - group.firstGpu);
    });
    for (const key of modifiers) await tab.keyboard.down(key);
    await tab.mouse.click(x, y);
    for (const key of modifiers) await tab.keyboard.up(key);
    return tab.evaluate(() => window.phasewise.view.pinned);
  };
  report.clicks = [await click([]), await click([]), await click([]), await click(["Shift"]), await click(["Shift"])];
  await tab.locator("#scheme").selectOption("job");
  report.halves = await tab.evaluate(() => {
    const { frames, map } = window.phasewise.panels[0], [gpu] = map.gpusOf(1), group = map.groupOf(gpu), index = gpu - group.firstGpu;
    const column = group.context.getImageData(group.flow.xs[index] + (map.cell >> 1), group.flow.ys[index], 1, map.cell).data, counts = {};
    for (let row = 0; row < map.cell; row++) { const colour = column.subarray(4 * row, 4 * row + 3).join(); counts[colour] = (counts[colour] ?? 0) + 1; }
    return { cell: map.cell, heights: Object.values(counts), held: frames.held(gpu).length };
  });
  report.lines = {};
  for (const [name, table] of [["waits", "#r0-queue"], ["runs", "#r0-running"]]) {
    await tab.evaluate((round) => window.phasewise.show(round), 150);
    const line = tab.locator(`${table} tbody tr`).first();
    await line.scrollIntoViewIfNeeded();
    const id = await line.locator("td").first().innerText();
    await line.locator("td").nth(1).click();
    await tab.locator("#job-title", { hasText: `Job ${id}` }).waitFor();
    report.lines[name] = [id, (await jobPage(tab)).title];
  }
  await tab.context().close();
}

// Names of controls, and whether whoever goes by Tab sees where the focus is.
async function access() {
  const tab = await open(one, "#round=20&job=2"), unseen = [];
  const nameless = await tab.evaluate(() => [...document.querySelectorAll("button, a, input, select, canvas, dialog, nav, [role=img]")].filter((node) => !(node.getAttribute("aria-label") || node.getAttribute("aria-labelledby") || node.textContent.trim() || node.labels?.length)).map((node) => node.outerHTML.slice(0, 120)));
  for (let step = 0; step < 40; step++) {
    await tab.keyboard.press("Tab");
    const seen = await tab.evaluate(() => { const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement); return document.activeElement === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) ? "" : document.activeElement.outerHTML.slice(0, 120); });
    if (seen) unseen.push(seen);
  }
  report.access = { nameless, unseen };
  await tab.context().close();
}

async function narrow() {
  report.narrow = {};
  for (const [name, page, hash] of [["job", one, "#round=20&job=2&view=job"], ["node", one, "#round=14&node=1"], ["two", two, "#job=2"]]) {
    const tab = await open(page, hash, PHONE);
    report.narrow[name] = await overflow(tab);
    await tab.locator("#search").fill("1");
    await tab.locator("#found li").first().waitFor();
    report.narrow[`${name}, searching`] = await overflow(tab);
    await tab.context().close();
  }
}

async function print() {
  const tab = await open(one, "#round=20&theme=dark");
  const canvas = () => tab.evaluate(() => document.querySelector("#time canvas").toDataURL().length + document.querySelector(".map canvas").toDataURL());
  const dark = await canvas();
  await tab.evaluate(() => dispatchEvent(new Event("beforeprint")));
  await tab.emulateMedia({ media: "print" });
  const look = await tab.evaluate(() => ({
    background: getComputedStyle(document.body).backgroundColor, edges: getComputedStyle(document.documentElement).colorScheme, bars: [...document.querySelectorAll("#r0-queue .stack span")].map((bar) => getComputedStyle(bar).printColorAdjust),
    hidden: ["controls", "tools"].map((id) => getComputedStyle(document.getElementById(id)).display), facts: getComputedStyle(document.querySelector(".now-facts")).display,
  }));
  report.print = { ...look, repainted: (await canvas()) !== dark };
  await tab.emulateMedia({ media: "screen" });
  await tab.evaluate(() => dispatchEvent(new Event("afterprint")));
  report.print.again = await shown(tab);
  const sheets = await tab.pdf({ printBackground: false }); // the way in which a reader prints: bars must be there all the same
  report.print.pages = (sheets.toString("latin1").match(/\/Type\s*\/Page\b/g) ?? []).length;
  await tab.context().close();
}

async function beside() {
  const tab = await open(two, "#job=2&view=job");
  const order = await tab.evaluate(() => [...document.querySelectorAll("[data-part]")].map((part) => part.dataset.part));
  const heads = await tab.locator(".beside tbody th").allInnerTexts();
  const pages = await tab.evaluate(() => ["r0", "r1"].map((key) => document.querySelectorAll(`#${key}-job .facts`).length));
  report.beside = { order, heads, pages };
  await tab.context().close();
}

await keys();
await links();
await jobs();
await access();
await narrow();
await print();
await beside();
await browser.close();
console.log(JSON.stringify(report));
