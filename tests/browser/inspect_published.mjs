// Open the published page in a real Chromium, wide and narrow, light and dark, and print as JSON what a reader would meet.
// usage: node inspect_published.mjs CHROMIUM PAGE.html [FOLDER]
// With FOLDER, pictures of the page are put there: its first screen, light and dark and on a phone, and the growth of each
// scale, light and dark.
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page, folder] = process.argv;
const views = [
  { name: "wide-light", width: 1280, height: 900, colorScheme: "light" },
  { name: "wide-dark", width: 1280, height: 900, colorScheme: "dark" },
  { name: "phone", width: 390, height: 844, colorScheme: "light" },
];

function inspect() {
  const inked = (canvas) => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let count = 0;
    for (let i = 3; i < pixels.length; i += 4) count += pixels[i] > 0;
    return count;
  };
  const charts = [...document.querySelectorAll("figure[data-chart]")].map((figure) => {
    const canvas = figure.querySelector("canvas"), box = figure.getBoundingClientRect();
    return { key: figure.dataset.chart, width: box.width, height: box.height, inked: canvas ? inked(canvas) : 0 };
  });
  // Labels that stand side by side: any two of a group that touch are a fault, and so is one that is cut in the middle.
  const touching = [];
  for (const group of document.querySelectorAll(".strip.head .axis, nav.toc, .stackrow .stack, thead tr, .key, ul.legend")) {
    const boxes = [...group.querySelectorAll("span, a, b, th, li")].filter((e) => !e.querySelector("b, span"))
      .map((e) => ({ text: e.textContent, ...e.getBoundingClientRect().toJSON(), bottomOf: e.parentElement.getBoundingClientRect().bottom }))
      .filter((b) => b.width > 0 && b.top < b.bottomOf - 1);
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
      if (a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 0.5 && b.top < a.bottom - 0.5) touching.push([a.text, b.text]);
    }));
  }
  const cut = [...document.querySelectorAll(".stack span b")].filter((b) => {
    const own = b.getBoundingClientRect(), bar = b.parentElement.getBoundingClientRect();
    return own.width > 0 && own.top < bar.bottom - 1 && own.right > bar.right + 0.5;
  }).map((b) => b.textContent);
  const broken = [...document.querySelectorAll("h1, h2, h3, h4, p, td:not(.src), th")].filter((e) => /undefined|NaN|None|null|\{\{/.test(e.textContent)).map((e) => e.textContent);
  const links = [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href"));
  return {
    charts, touching, cut, broken, links,
    overflow: document.documentElement.scrollWidth - innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
    heading: document.querySelector("h1").textContent,
  };
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
  if (folder && name === "phone") {
    await tab.screenshot({ path: `${folder}/index-phone.png`, fullPage: true, clip: { x: 0, y: 0, width, height: 2 * height } });
  }
  if (folder && name !== "phone") {
    await tab.screenshot({ path: `${folder}/index-${colorScheme}.png` });
    for (const pair of await tab.locator("#growth .pairs").all()) {
      const key = await pair.locator("figure").first().getAttribute("data-chart");
      await pair.screenshot({ path: `${folder}/${key.split("-")[0]}-${colorScheme}.png` });
    }
  }
  report[name] = { ...found, problems, requests: requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")) };
  await context.close();
}
await browser.close();
console.log(JSON.stringify(report));
