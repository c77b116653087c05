// Open a study's page in a real Chromium, wide and narrow, light and dark, and print as JSON what a reader would meet.
// usage: node inspect_study.mjs CHROMIUM PAGE.html [FOLDER]
// With FOLDER, pictures of the whole page are put there, one a view.
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page, folder] = process.argv;
const views = [
  { name: "wide-light", width: 1440, height: 900, colorScheme: "light" },
  { name: "wide-dark", width: 1440, height: 900, colorScheme: "dark" },
  { name: "phone", width: 390, height: 844, colorScheme: "light" },
];

function inspect() {
  const panels = [...document.querySelectorAll("figure[data-panel]")].map((figure) => {
    const svg = figure.querySelector(".plot svg"), box = svg.getBoundingClientRect();
    const dots = [...svg.querySelectorAll("a")].map((link) => link.getAttribute("href"));
    return { key: figure.dataset.panel, box: [box.width, box.height], paths: svg.querySelectorAll("path").length, dots };
  });
  const rows = [...document.querySelectorAll("#points tbody tr")].filter((row) => !row.hidden)
    .map((row) => [...row.children].map((cell) => cell.textContent.trim()));
  const links = [...document.querySelectorAll("#points tbody a")].map((link) => link.getAttribute("href"));
  return { panels, rows, links, legend: [...document.querySelectorAll(".legend")].map((each) => each.innerText),
    background: getComputedStyle(document.body).backgroundColor, overflow: document.documentElement.scrollWidth - innerWidth };
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
  if (folder) await tab.screenshot({ path: `${folder}/study-${name}.png`, fullPage: true });
  const dot = tab.locator("figure[data-panel] svg a circle").first();
  let readout = "";
  if (await dot.count()) {
    await dot.evaluate((each) => each.scrollIntoView({ block: "center" })); // out from under the filters
    const { x, y, width: across, height: down } = await dot.boundingBox(); // its neighbours may lie upon it
    await tab.mouse.move(x + across / 2, y + down / 2);
    await tab.locator("#tip").waitFor({ state: "visible", timeout: 120000 });
    readout = await tab.locator("#tip").innerText();
  }
  const sorted = [];
  for (let time = 0; time < 2; time++) {
    await tab.locator("#points thead button", { hasText: "mean JCT" }).first().click();
    sorted.push(await tab.evaluate(() => [...document.querySelectorAll("#points tbody tr th")].map((cell) => cell.textContent.trim())));
  }
  let filtered = null;
  const box = tab.locator("#filters input").first();
  if (await box.count()) {
    await box.uncheck();
    filtered = await tab.evaluate(inspect);
    await tab.locator("#everything").click();
    filtered.back = (await tab.evaluate(inspect)).rows.length;
  }
  report[name] = { ...found, problems, readout, sorted, filtered, requests: requests.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")) };
  await context.close();
}
await browser.close();
console.log(JSON.stringify(report));
