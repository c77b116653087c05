// Open a viewer page in a real Chromium and print as JSON what a reader would meet, and how quickly.
// usage: node inspect_viewer.mjs CHROMIUM PAGE.html WISHES.json
// wishes: {"views": [names], "frames": [ticks], "cells": [[run, gpu], ...], "opens": N, "batches": N, "visits": N, "scrubs": [ticks]}
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page, wishFile] = process.argv;
const wishes = JSON.parse(readFileSync(wishFile, "utf-8"));
const VIEWS = {
  "wide-light": { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  "wide-dark": { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 2 },
};
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });

async function open(name) {
  const context = await browser.newContext(VIEWS[name]);
  const tab = await context.newPage();
  const problems = [], requests = [];
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
  tab.on("pageerror", (error) => problems.push(error.message));
  tab.on("request", (request) => requests.push(request.url()));
  await tab.goto(pathToFileURL(page).href);
  await tab.waitForFunction(() => document.documentElement.dataset.viewer === "ready", null, { timeout: 30000 });
  return { context, tab, problems, requests };
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
    const colours = [];
    for (let row = 0; row < map.cell; row++) {
      const [red, green, blue] = group.context.getImageData(group.flow.xs[index] + (map.cell >> 1), group.flow.ys[index] + row, 1, 1).data;
      colours.push([red, green, blue]);
    }
    return { type: group.name, ...map.nodeOf(group, index), colours };
  });
}

// Milliseconds of each visit: until the frame is drawn, and until the browser has put it on the screen. Nothing is kept
// unpacked from one visit to the next.
async function scrub(ticks) {
  const drawn = [], shown = [];
  for (const tick of ticks) {
    for (const { frames } of window.phasewise.panels) frames.chunks.clear();
    const asked = performance.now();
    await window.phasewise.show(tick);
    drawn.push(performance.now() - asked);
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
    shown.push(performance.now() - asked);
  }
  return { drawn, shown };
}

const report = { views: {}, frames: [], cells: [], batches: [] };
for (const name of wishes.views) {
  const { context, tab, problems, requests } = await open(name);
  const seen = await tab.evaluate(() => {
    const box = (node) => { const { left, top, right, bottom } = node.getBoundingClientRect(); return [left, top, right, bottom]; };
    const covers = (a, b) => a[0] < b[2] - 1 && b[0] < a[2] - 1 && a[1] < b[3] - 1 && b[1] < a[3] - 1;
    const labels = [...document.querySelectorAll(".map h4, .now-facts dt, .now-facts dd, #controls > *")].map((node) => [node.textContent.trim(), box(node)]);
    const overlaps = [];
    labels.forEach(([text, a], i) => labels.slice(i + 1).forEach(([other, b]) => { if (covers(a, b)) overlaps.push([text, other]); }));
    const axes = JSON.parse(document.getElementById("payload").textContent).flatMap((chart) => [chart.xAxis.title, chart.yAxis.title]);
    return {
      overlaps, axes, overflow: document.documentElement.scrollWidth - innerWidth, background: getComputedStyle(document.body).backgroundColor,
      charts: [...document.querySelectorAll("figure[data-chart]")].map((figure) => [figure.dataset.chart, figure.querySelectorAll("canvas").length]),
      canvases: [...document.querySelectorAll(".map canvas")].map((canvas) => [canvas.getAttribute("aria-label"), canvas.clientWidth, canvas.clientHeight]),
      slider: [document.getElementById("round").getAttribute("aria-label"), document.getElementById("round").getAttribute("aria-valuetext")],
    };
  });
  const settled = async () => {
    await tab.waitForFunction(() => window.phasewise.view.tick === window.phasewise.view.wanted, null, { timeout: 10000 });
    return tab.evaluate(() => window.phasewise.view.tick);
  };
  const keys = {};
  const press = async (key) => { await tab.keyboard.press(key); keys[key] = await settled(); };
  for (const key of ["End", "Home", "ArrowRight", "Shift+ArrowRight", "PageDown", "ArrowLeft"]) await press(key);
  await tab.keyboard.press("Space");
  await tab.waitForFunction((from) => window.phasewise.view.tick > from, keys.ArrowLeft, { timeout: 10000 });
  await tab.keyboard.press("Space");
  const playing = await tab.evaluate(() => window.phasewise.view.playing);
  await tab.keyboard.press("Home");
  await settled();
  const canvas = tab.locator(".map canvas").first();
  await canvas.hover({ position: { x: 5, y: 5 } });
  await tab.locator("#gpu-tip").waitFor({ state: "visible", timeout: 5000 });
  const tip = await tab.locator("#gpu-tip").innerText();
  await tab.mouse.move(2, 2);
  await canvas.focus();
  await tab.keyboard.press("ArrowRight");
  const spoken = await tab.locator("#spoken").innerText();
  await tab.keyboard.press("Enter");
  const pinned = await tab.evaluate(() => window.phasewise.view.pinned);
  const queue = await tab.evaluate(() => [...document.querySelectorAll("#queues .waiting")].map((line) => line.textContent));
  report.views[name] = { ...seen, keys, playing, tip, spoken, pinned, queue, problems, requests: requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")) };
  await context.close();
}
if (wishes.frames.length) {
  const { context, tab } = await open("wide-light");
  for (const tick of wishes.frames) report.frames.push(await tab.evaluate(frame, tick));
  report.cells = await tab.evaluate(cells, wishes.cells); // of the last of the frames
  const colour = (name) => tab.evaluate((variable) => {
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }, name);
  report.idle = await colour("--idle");
  report.kinds = await tab.evaluate(() => window.phasewise.panels.map(({ frames }) => frames.run.kinds));
  report.palette = {};
  for (const { colour: name } of report.kinds.flat()) report.palette[name] = await colour(`--${name}`);
  await context.close();
}
for (let batch = 0; batch < (wishes.batches ?? 0); batch++) {
  const { context, tab } = await open("wide-light");
  const opened = await tab.evaluate(() => window.phasewise.view.ready_ms);
  const visits = [];
  for (let visit = 0; visit < (wishes.visits ?? 1); visit++) visits.push(await tab.evaluate(scrub, wishes.scrubs));
  const session = await context.newCDPSession(tab);
  const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await session.send("Runtime.getHeapUsage");
  report.batches.push({ opened, visits, heap: usedSize + embedderHeapUsedSize + backingStorageSize });
  await context.close();
}
report.opened = report.batches.map(({ opened }) => opened);
for (let again = 0; again < (wishes.opens ?? 0); again++) {
  const { context, tab } = await open("wide-light");
  report.opened.push(await tab.evaluate(() => window.phasewise.view.ready_ms));
  await context.close();
}
await browser.close();
console.log(JSON.stringify(report));
