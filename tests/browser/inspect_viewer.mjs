// Open viewer pages in a real Chromium and print as JSON, for each, what a reader would meet, and how quickly.
// usage: node inspect_viewer.mjs CHROMIUM WISHES.json
// wishes: a list of {"page": "PAGE.html", "views": [names], "act": [names], "frames": [ticks], "cells": [[run, gpu], ...],
//   "times": {"visits": N, "scrubs": [ticks]}}; in the views of "act" keys and pointer are used, too.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, wishFile] = process.argv;
const VIEWS = {
  "wide-light": { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  "wide-dark": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 2 },
};
const launch = (...more) => chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", ...more] });

async function open(browser, page, name) {
  const context = await browser.newContext(VIEWS[name]);
  const tab = await context.newPage();
  const problems = [], requests = [];
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
  tab.on("pageerror", (error) => problems.push(error.message));
  tab.on("request", (request) => requests.push(request.url()));
  await tab.goto(pathToFileURL(page).href);
  await tab.waitForFunction(() => document.documentElement.dataset.viewer === "ready", null, { timeout: 120000 });
  return { context, tab, problems, requests, opened: await tab.evaluate(() => window.phasewise.view.ready_ms) };
}

// What stands in the page's arrays and on its canvases.
function frame(tick) {
  return window.phasewise.show(tick).then(() => window.phasewise.panels.map(({ frames }) => {
    const rows = [];
    for (let gpu = 0; gpu < frames.gpus; gpu++) {
      for (const slot of frames.held(gpu)) rows.push([gpu, frames.jobs.id[frames.job[slot]], frames.share[slot], frames.since[slot]]);
    }
    return { round: frames.run.roundAt[tick], rows, waiting: frames.waiting(frames.run.roundAt[tick]).map((job) => frames.jobs.id[job]) };
  }));
}

function cells(wanted) {
  return wanted.map(([run, gpu]) => {
    const { map } = window.phasewise.panels[run];
    const group = map.groups.find(({ firstGpu, gpus }) => gpu >= firstGpu && gpu < firstGpu + gpus), index = gpu - group.firstGpu;
    const column = group.context.getImageData(group.flow.xs[index] + (map.cell >> 1), group.flow.ys[index], 1, map.cell).data;
    const colours = Array.from({ length: map.cell }, (_, row) => [...column.subarray(4 * row, 4 * row + 3)]);
    return { type: group.name, ...map.nodeOf(group, index), colours };
  });
}

// Milliseconds of each visit to a round: until it is drawn on the canvases, and until the browser has rendered the page
// (style, layout, paint, hand-over to the compositor): a message that is posted in an animation frame arrives after that.
// Nothing is kept unpacked from one visit to the next. A visit begins just after the browser has rendered for the one
// before it, or, with `pause_ms`, so much later, when nothing of that is under way any more.
async function scrub({ ticks, pause_ms }) {
  const rendered = () => new Promise((resolve) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = resolve;
    channel.port2.postMessage(null);
  }));
  const drawn = [], shown = [];
  for (const tick of ticks) {
    for (const { frames } of window.phasewise.panels) frames.chunks.clear();
    await (pause_ms ? new Promise((resolve) => setTimeout(resolve, pause_ms)) : rendered());
    const asked = performance.now();
    await window.phasewise.show(tick);
    drawn.push(performance.now() - asked);
    await rendered();
    shown.push(performance.now() - asked);
  }
  return { drawn, shown };
}

function look() {
  const box = (node) => { const { left, top, right, bottom } = node.getBoundingClientRect(); return [left, top, right, bottom]; };
  const covers = (a, b) => a[0] < b[2] - 1 && b[0] < a[2] - 1 && a[1] < b[3] - 1 && b[1] < a[3] - 1;
  const labels = [...document.querySelectorAll(".map h4, .now-facts dt, .now-facts dd, #controls > *")].map((node) => [node.textContent.trim(), box(node)]);
  const overlaps = [];
  labels.forEach(([text, a], i) => labels.slice(i + 1).forEach(([other, b]) => { if (covers(a, b)) overlaps.push([text, other]); }));
  // What is wider than the place that is kept for it would run into its neighbour.
  const cut = [...document.querySelectorAll(".now-facts dd, #clock")].filter((node) => node.scrollWidth > node.clientWidth + 1).map((node) => node.textContent);
  const axes = JSON.parse(document.getElementById("payload").textContent).flatMap((chart) => [chart.xAxis.title, chart.yAxis.title]);
  return {
    overlaps, cut, axes, overflow: document.documentElement.scrollWidth - innerWidth, background: getComputedStyle(document.body).backgroundColor,
    charts: [...document.querySelectorAll("figure[data-chart]")].map((figure) => [figure.dataset.chart, figure.querySelectorAll("canvas").length]),
    canvases: [...document.querySelectorAll(".map canvas")].map((canvas) => [canvas.getAttribute("aria-label"), canvas.clientWidth, canvas.clientHeight]),
    slider: [document.getElementById("round").getAttribute("aria-label"), document.getElementById("round").getAttribute("aria-valuetext")],
  };
}

// What scrolling sets off (it hides what is read out of a GPU) is over two frames later.
async function scrolled(tab, locator) {
  await locator.scrollIntoViewIfNeeded();
  await tab.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

// Keys, play, speed, pointer, marks: what a reader does, and what the page then shows.
async function act(tab) {
  const settled = async () => {
    await tab.waitForFunction(() => window.phasewise.view.tick === window.phasewise.view.wanted, null, { timeout: 120000 });
    return tab.evaluate(() => window.phasewise.view.tick);
  };
  const keys = {};
  const press = async (key) => { await tab.keyboard.press(key); keys[key] = await settled(); };
  for (const key of ["End", "Home", "ArrowRight", "Shift+ArrowRight", "PageDown", "ArrowLeft"]) await press(key);
  const speed = () => tab.evaluate(() => window.phasewise.view.speed);
  const speeds = [await speed()];
  for (const key of ["-", "+", "+"]) { await tab.keyboard.press(key); speeds.push(await speed()); }
  await tab.locator("#speed").selectOption("8");
  speeds.push(await speed());
  await tab.keyboard.press("Escape");
  await tab.locator("#play").focus();
  await tab.keyboard.press("Space");
  await tab.waitForFunction((from) => window.phasewise.view.tick > from, keys.ArrowLeft, { timeout: 120000 });
  await tab.keyboard.press("Space");
  const playing = await tab.evaluate(() => window.phasewise.view.playing);
  await tab.locator("#round").fill("5");
  const slid = await settled();
  await tab.keyboard.press("Home");
  await settled();
  const canvas = tab.locator(".map canvas").first();
  await scrolled(tab, canvas);
  await canvas.hover({ position: { x: 5, y: 5 } });
  await tab.locator("#gpu-tip").waitFor({ state: "visible", timeout: 120000 });
  const tip = await tab.locator("#gpu-tip").innerText();
  await tab.mouse.move(2, 2);
  await canvas.focus();
  await tab.keyboard.press("d");
  const spoken = await tab.locator("#spoken").innerText();
  await tab.keyboard.press("Enter");
  const pinned = await tab.evaluate(() => window.phasewise.view.pinned);
  await scrolled(tab, tab.locator("#queues"));
  await tab.waitForFunction(() => window.phasewise.panels.every((panel) => panel.queueInSight));
  const queue = await tab.locator("#queues .waiting").allInnerTexts();
  const held = await tab.locator("#r0 .map h4 .held").allInnerTexts();
  const shared = await tab.evaluate(() => {
    const { frames, map } = window.phasewise.panels[0];
    for (const group of map.groups) for (let index = 0; index < group.gpus; index++) {
      if (frames.held(group.firstGpu + index).length > 1) return { gpu: group.firstGpu + index, group: map.groups.indexOf(group), index };
    }
    return null;
  });
  let sharedTip = "";
  if (shared) {
    await scrolled(tab, tab.locator("#r0 .map canvas").nth(shared.group));
    const { x, y } = await tab.evaluate(({ group, index }) => window.phasewise.panels[0].map.centre(window.phasewise.panels[0].map.groups[group], index), shared);
    await tab.mouse.move(x, y);
    await tab.locator("#gpu-tip").waitFor({ state: "visible", timeout: 120000 });
    sharedTip = await tab.locator("#gpu-tip").innerText();
  }
  return { keys, speeds, playing, slid, tip, spoken, pinned, queue, held, shared: shared && { gpu: shared.gpu, tip: sharedTip } };
}

async function meet(browser, wish, name) {
  const { context, tab, problems, requests } = await open(browser, wish.page, name);
  const seen = { ...(await tab.evaluate(look)), ...((wish.act ?? []).includes(name) ? await act(tab) : {}) };
  await context.close();
  return [name, { ...seen, problems, requests: requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")) }];
}

async function frames(browser, wish, report) {
  const { context, tab, opened } = await open(browser, wish.page, "wide-light");
  report.opened.push(opened);
  for (const tick of wish.frames) report.frames.push(await tab.evaluate(frame, tick));
  report.cells = await tab.evaluate(cells, wish.cells ?? []); // of the last of the frames
  const colour = (name) => tab.evaluate((variable) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }, name);
  report.idle = await colour("--idle");
  report.kinds = await tab.evaluate(() => window.phasewise.panels.map(({ frames: { run } }) => run.kinds));
  report.palette = {};
  for (const { colour: name } of report.kinds.flat()) report.palette[name] = await colour(`--${name}`);
  await context.close();
}

async function times(browser, wish, report, pause_ms) {
  const { context, tab, opened } = await open(browser, wish.page, "wide-light");
  const visits = [];
  for (let visit = 0; visit < wish.times.visits; visit++) visits.push(await tab.evaluate(scrub, { ticks: wish.times.scrubs, pause_ms }));
  const session = await context.newCDPSession(tab);
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await session.send("Runtime.getHeapUsage");
  report.opened.push(opened);
  report.heap.push(usedSize + embedderHeapUsedSize + backingStorageSize);
  await context.close();
  return visits;
}

const reports = [], browser = await launch();
for (const wish of JSON.parse(readFileSync(wishFile, "utf-8"))) {
  const report = { frames: [], cells: [], opened: [], heap: [] };
  report.views = Object.fromEntries(await Promise.all((wish.views ?? []).map((name) => meet(browser, wish, name))));
  if (wish.frames) await frames(browser, wish, report);
  if (wish.times) {
    report.screen = await times(browser, wish, report, 0); // rendered at the next refresh of a screen of 60 Hz, a whole one away
    const eager = await launch("--disable-frame-rate-limit", "--disable-gpu-vsync"); // renders as soon as it can
    report.eager = await times(eager, wish, report, 30);
    await eager.close();
  }
  reports.push(report);
}
await browser.close();
console.log(JSON.stringify(reports));
