// Open a page in a real Chromium, save every chart as SVG, PNG and CSV by its buttons, and print as JSON what came.
// usage: node inspect_export.mjs CHROMIUM PAGE.html FOLDER
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [, , executablePath, page, folder] = process.argv;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
const tab = await context.newPage();
const problems = [], requests = [], files = [];
tab.on("console", (message) => { if (["error", "warning"].includes(message.type())) problems.push(message.text()); });
tab.on("pageerror", (error) => problems.push(error.message));
tab.on("request", (request) => requests.push(request.url()));
await tab.goto(pathToFileURL(page).href);
await tab.locator(".save button").first().waitFor({ state: "attached", timeout: 120000 });
await tab.waitForFunction(() => !document.getElementById("viewer") || document.documentElement.dataset.viewer === "ready", null, { timeout: 120000 });
const charts = await tab.locator("figure:not(.absent):visible").count();

for (const button of await tab.locator(".save button:visible").all()) {
  await tab.waitForTimeout(300); // as a person would: of two clicks at once, Chromium lets a page save one file
  const coming = tab.waitForEvent("download", { timeout: 120000 });
  await button.click(); // a real click: a page may not save many files unasked
  const download = await coming, path = `${folder}/${files.length}-${download.suggestedFilename()}`;
  await download.saveAs(path);
  const content = readFileSync(path), format = path.split(".").pop();
  const file = { format, name: download.suggestedFilename(), label: await button.getAttribute("aria-label"), path };
  if (format === "png") Object.assign(file, { width: content.readUInt32BE(16), height: content.readUInt32BE(20), bytes: content.length });
  else file.text = content.toString("utf-8");
  files.push(file);
}

// What the pictures look like where no style sheet of the page helps: each by itself.
const alone = await context.newPage();
for (const file of files.filter(({ format }) => format === "svg")) {
  await alone.goto(pathToFileURL(file.path).href);
  file.drawn = await alone.evaluate(() => {
    const { width, height } = document.documentElement.getBoundingClientRect();
    const words = [...document.querySelectorAll("text")].map((text) => ({ text: text.textContent, box: text.getBoundingClientRect() }));
    return { width, height, words: words.map(({ text }) => text), outside: words.filter(({ box }) => box.left < -1 || box.right > width + 1 || box.top < -1 || box.bottom > height + 1).map(({ text }) => text) };
  });
}
await browser.close();
console.log(JSON.stringify({ charts, files, problems, requests: requests.filter((url) => !/^(file|data|blob):/.test(url)) }));
