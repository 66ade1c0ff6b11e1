// Open a page in headless Chromium at three widths, light and dark: node page.cjs CHROMIUM FILE [FOLDER for pictures]
// Prints JSON, one entry per look: serious axe violations, console errors, requests, the width of the page, and
// which tables, texts and figures overflow it with all details open (a wide figure or table may scroll in its own frame).
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");
const { source } = require("axe-core");

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"];

async function look(browser, url, width, colorScheme, pictures) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  const errors = [], requests = [];
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("request", (request) => request.url() !== url && !request.url().startsWith("data:") && requests.push(request.url()));
  await page.goto(url);
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => axe.run());
  const serious = violations
    .filter((violation) => ["serious", "critical"].includes(violation.impact))
    .map((violation) => `${violation.id}: ${violation.nodes[0].html.slice(0, 200)}`);
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => (details.open = true)));
  const cut = await page.evaluate(() => {
    const edge = document.documentElement.clientWidth + 1;
    const parts = [...document.querySelectorAll("h1, h2, h3, p, li, th, td, pre, dl, svg")];
    const beyond = parts.filter((part) => !part.closest("figure.wide, .scroll") && part.getBoundingClientRect().right > edge);
    return beyond.slice(0, 5).map((part) => `${part.tagName}: ${part.textContent.trim().slice(0, 80)}`);
  });
  const pageWidth = await page.evaluate(() => document.documentElement.scrollWidth);
  if (pictures) await page.screenshot({ path: `${pictures}/${width}-${colorScheme}.png`, fullPage: true });
  await context.close();
  return { width, colorScheme, pageWidth, cut, serious, errors, requests };
}

async function main([executablePath, file, pictures]) {
  const browser = await chromium.launch({ executablePath, args: FLAGS, timeout: 0 });
  const looks = [];
  for (const width of [390, 800, 1200])
    for (const scheme of ["light", "dark"]) looks.push(await look(browser, pathToFileURL(file).href, width, scheme, pictures));
  await browser.close();
  console.log(JSON.stringify(looks));
}

main(process.argv.slice(2));
