// Opens a page in Chromium and says as JSON what a test wants to know. Arguments: page, folder of node_modules, browser,
// folder for screenshots (or nothing).
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , page, modules, browser, shots] = process.argv;
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core");
const QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const opened = await chromium.launch({ executablePath: browser, args: QUIET });
const url = pathToFileURL(page).href;
const found = { looks: [], messages: [], requests: [] };

const visit = async (options) => {
  const tab = await opened.newPage(options);
  tab.on("console", (message) => found.messages.push(message.text()));
  tab.on("pageerror", (error) => found.messages.push(String(error)));
  tab.on("request", (request) => request.url() !== url && found.requests.push(request.url().slice(0, 80)));
  await tab.goto(url);
  return tab;
};

// Every width and theme, with all that is folded open: does it fit, and what does axe say?
for (const width of [390, 1400]) {
  for (const colorScheme of ["light", "dark"]) {
    const tab = await visit({ viewport: { width, height: 900 }, colorScheme });
    if (shots) await tab.screenshot({ path: `${shots}/${width}-${colorScheme}.png`, fullPage: true });
    await tab.evaluate(() => document.querySelectorAll("tbody tr:nth-child(n + 13), .sources li:nth-child(n + 9)").forEach((one) => one.remove()));
    await tab.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
    await tab.addScriptTag({ path: axe });
    const said = await tab.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    const violations = said.violations.map((one) => ({ id: one.id, impact: one.impact, at: one.nodes.map((node) => node.target.join(" ")).slice(0, 3) }));
    const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    found.looks.push({ width, colorScheme, overflow, violations });
    await tab.close();
  }
}

// What the page's own script adds.
const tab = await visit({ viewport: { width: 1400, height: 900 }, colorScheme: "light" });
await tab.evaluate(() => {
  window.copied = [];
  Object.defineProperty(navigator, "clipboard", { value: { writeText: async (said) => window.copied.push(said) } });
  document.querySelectorAll("details").forEach((one) => (one.open = true));
});
const sheet = (caption) => tab.locator(".sheet", { has: tab.locator(`caption:text-is("${caption}")`) }).last();
const gains = sheet("Gains");
const column = async (number) => gains.locator(`tbody tr:not([hidden]) > :nth-child(${number})`).evaluateAll((cells) => cells.map((cell) => Number(cell.dataset.value)));
const heads = await gains.locator("thead th").allInnerTexts();
const gain = heads.findIndex((head) => head.startsWith("gain")) + 1;
const head = gains.locator("thead th").nth(gain - 1);
await head.locator("button").focus();
await tab.keyboard.press("Enter");
found.ascending = { sort: await head.getAttribute("aria-sort"), values: await column(gain) };
await tab.keyboard.press("Enter");
found.descending = { sort: await head.getAttribute("aria-sort"), values: await column(gain) };
await gains.locator("input").fill("squad sw");
found.filtered = await gains.locator("tbody tr:not([hidden])").evaluateAll((rows) => rows.map((row) => row.innerText));
found.told = await gains.locator("[role=status]").innerText();
await gains.locator("button:text('Copy CSV')").click();
const extra = tab.locator("#extras .sheet").first();
await extra.locator("button:text('Copy CSV')").click();
await extra.locator("button:text('Copy LaTeX')").click();
found.copied = await tab.evaluate(() => window.copied);
await tab.reload();
const link = tab.locator("#verdicts .facts a.made").first();
const target = await link.getAttribute("href");
await link.click();
found.revealed = await tab.locator(target).isVisible();
const theme = tab.locator("button.theme");
found.themes = [];
for (let turn = 0; turn < 3; turn += 1) {
  await theme.click();
  found.themes.push([await theme.innerText(), await tab.evaluate(() => getComputedStyle(document.body).backgroundColor)]);
}
await tab.goto(url);
await tab.keyboard.press("Tab");
found.first = await tab.evaluate(() => document.activeElement.textContent);
await tab.emulateMedia({ media: "print" });
found.printed = await tab.evaluate(() => getComputedStyle(document.querySelector("nav")).display);
await tab.close();

// Without JavaScript all tables and plots are there.
const plain = await opened.newContext({ javaScriptEnabled: false, viewport: { width: 1400, height: 900 } });
const still = await plain.newPage();
await still.goto(url);
found.still = { tables: await still.locator("table").count(), plots: await still.locator("svg[role=img]").count(), buttons: await still.locator("button").count() };
await opened.close();
console.log(JSON.stringify(found));
