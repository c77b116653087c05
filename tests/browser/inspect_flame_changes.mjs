// Open a page with a differential flame graph in a real Chromium, choose the other side, zoom, search, and print what followed.
// usage: node inspect_flame_changes.mjs CHROMIUM PAGE.html
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const tab = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
const problems = [];
tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
tab.on("pageerror", (error) => problems.push(error.message));

const look = () => tab.evaluate(() => ({
  frames: [...document.querySelectorAll('figure[data-flame="changes"] .frame')].map((frame) => ({
    tip: frame.dataset.tip, label: frame.querySelector("text")?.textContent, dim: frame.classList.contains("dim"),
    width: frame.querySelector("rect").getBoundingClientRect().width, fill: getComputedStyle(frame.querySelector("rect")).fill,
  })),
  found: document.querySelector("output.found").textContent, said: document.querySelector("output.said").textContent,
}));

await tab.goto(pathToFileURL(page).href);
await tab.waitForSelector('figure[data-flame="changes"] svg .frame');
const report = { after: await look() };
await tab.locator("select.side").selectOption("before");
report.before = await look();
await tab.locator("select.side").selectOption("after");
await tab.locator(".flame-tools input").fill("new");
report.search = await look();
await tab.locator(".flame-tools input").fill("");
await tab.locator(".flame svg").focus();
for (const key of ["ArrowDown", "ArrowDown", "Enter"]) await tab.keyboard.press(key);
report.keys = await look();
await browser.close();
console.log(JSON.stringify({ ...report, problems }));
