// Open a report with a flame graph in a real Chromium, use its switch, its search and its zoom, and print what followed.
// usage: node inspect_switches.mjs CHROMIUM PAGE.html
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page] = process.argv;
const address = pathToFileURL(page).href;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const tab = await (await browser.newContext({ viewport: { width: 1280, height: 900 } })).newPage();
const problems = [];
tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
tab.on("pageerror", (error) => problems.push(error.message));

const ready = () => tab.waitForFunction(() => document.documentElement.dataset.ready === "true", null, { timeout: 120000 });
const look = () => tab.evaluate(() => {
  const frames = [...document.querySelectorAll(".flame .frame")];
  return {
    hash: location.hash, time: document.documentElement.dataset.time,
    pressed: [...new Set([...document.querySelectorAll('.switch button[aria-pressed="true"]')].map((button) => button.textContent))],
    switches: document.querySelectorAll(".switch:not([hidden])").length,
    frames: frames.map((frame) => ({ tip: frame.dataset.tip, width: frame.querySelector("rect").getBoundingClientRect().width, dim: frame.classList.contains("dim") })),
    found: document.querySelector("output.found")?.textContent, said: document.querySelector("output.said")?.textContent,
    shown: [...document.querySelectorAll("figure[data-time]")].filter((figure) => figure.getBoundingClientRect().height).map((figure) => figure.dataset.time),
    notes: [...document.querySelectorAll("figure[data-chart] figcaption p")].map((note) => note.textContent),
  };
});

await tab.goto(address);
await ready();
const report = { first: await look() };
await tab.locator(".page-clock button", { hasText: "wall" }).click();
report.wall = await look();
await tab.reload();
await ready();
report.reloaded = await look();
await tab.locator('a[href$="-ran"]').click();
report.elsewhere = await look();
await tab.locator(".page-clock button", { hasText: "CPU" }).click();
report.back = await look();
await tab.locator(".flame .frame").nth(2).click();
report.zoomed = await look();
await tab.keyboard.press("Escape");
await tab.locator("button.back").click().catch(() => {});
report.out = await look();
await tab.locator(".flame-tools input").fill("NUMPY");
report.search = await look();
await tab.locator(".flame-tools input").fill("");
await tab.locator(".flame svg").focus();
for (const key of ["ArrowDown", "ArrowDown", "ArrowRight", "Enter"]) await tab.keyboard.press(key);
report.keys = await look();

// As it is printed, 182 mm wide, from a dark screen.
await tab.setViewportSize({ width: 688, height: 970 });
await tab.emulateMedia({ media: "print", colorScheme: "dark" });
await tab.evaluate(() => dispatchEvent(new Event("beforeprint")));
report.printed = await tab.evaluate(() => ({
  adjust: getComputedStyle(document.documentElement).printColorAdjust,
  paper: getComputedStyle(document.body).backgroundColor,
  wide: [...document.querySelectorAll("table, figure, .stack, pre")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1).map((each) => each.className),
  overlapping: [...document.querySelectorAll("figure[data-chart]")].filter((each) => each.querySelector("canvas").getBoundingClientRect().bottom > each.getBoundingClientRect().bottom + 1).map((each) => each.dataset.chart),
  buttons: [...document.querySelectorAll("button, input")].filter((each) => each.getBoundingClientRect().height > 0 && !each.closest("th")).length,
}));
await browser.close();
console.log(JSON.stringify({ ...report, problems }));
