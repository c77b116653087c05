// Open a page in a real Chromium, wide and narrow, light and dark, and print as JSON what a reader would meet.
// usage: node inspect_report.mjs CHROMIUM PAGE.html [FOLDER]
// With FOLDER, pictures of the first screen are put there: report.png (light), report-dark.png and report-phone.png.
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page, folder] = process.argv;
const pictures = { "wide-light": "report.png", "wide-dark": "report-dark.png", phone: "report-phone.png" };
const views = [
  { name: "wide-light", width: 1280, height: 900, colorScheme: "light" },
  { name: "wide-dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "phone", width: 390, height: 844, colorScheme: "light" },
];

function inspect() {
  const box = (element) => { const { width, height } = element.getBoundingClientRect(); return [width, height]; };
  const inked = (canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 3; i < pixels.length; i += 4) count += pixels[i] > 0;
    return count;
  };
  const charts = [...document.querySelectorAll("figure[data-chart]")].map((figure) => {
    const canvas = figure.querySelector("canvas");
    return { key: figure.dataset.chart, box: canvas ? box(canvas) : [0, 0], inked: canvas ? inked(canvas) : 0 };
  });
  const phases = Object.fromEntries([...document.querySelectorAll("table.phases tbody tr")].map((row) => [
    row.dataset.phase, [...row.querySelectorAll("td")].map((cell) => cell.textContent.trim()),
  ]));
  const background = getComputedStyle(document.body).backgroundColor;
  return { ready: document.documentElement.dataset.ready, charts, phases, background, overflow: document.documentElement.scrollWidth - innerWidth };
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const report = {};
for (const { name, width, height, colorScheme } of views) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const tab = await context.newPage();
  const problems = [], requests = [];
  tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
  tab.on("pageerror", (error) => problems.push(error.message));
  tab.on("request", (request) => requests.push(request.url()));
  await tab.goto(pathToFileURL(page).href);
  await tab.waitForFunction(() => document.documentElement.dataset.ready === "true", null, { timeout: 120000 });
  const found = await tab.evaluate(inspect);
  if (folder) await tab.screenshot({ path: `${folder}/${pictures[name]}` });
  const plot = tab.locator("figure[data-chart] .u-over").first();
  let readout = "";
  if (await plot.count()) {
    await plot.scrollIntoViewIfNeeded();
    const { width: across, height: down } = await plot.boundingBox();
    await plot.hover({ position: { x: across / 2, y: down / 2 } });
    const tip = tab.locator("#tip");
    await tip.waitFor({ state: "visible", timeout: 120000 });
    readout = await tip.innerText();
  }
  report[name] = { ...found, problems, readout, requests: requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")) };
  await context.close();
}
await browser.close();
console.log(JSON.stringify(report));
