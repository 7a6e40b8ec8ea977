// A person at the page, in Chromium: reads orders from standard input, one JSON a line, and answers
// each with one JSON line. Driven by tests/support/browser.py.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';

const [modules, browserPath] = process.argv.slice(2);
const require = createRequire(modules + '/');
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({ executablePath: browserPath, args: ['--no-sandbox'] });
const pages = {};
const complaints = [];
const hosts = new Set();

const orders = {
  async open({ who, url, width = 1280, height = 800, dark = false }) {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width, height },
      colorScheme: dark ? 'dark' : 'light',
      reducedMotion: 'reduce',
    });
    const page = (pages[who] = await context.newPage());
    page.setDefaultTimeout(20000);
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('console', (said) => {
      if (/Content Security Policy/.test(said.text())) complaints.push(said.text());
    });
    page.on('request', (one) => {
      if (!/^(data|blob):/.test(one.url())) hosts.add(new URL(one.url()).host);
    });
    await page.goto(url);
  },
  go: ({ who, page }) => pages[who].goto(new URL('/#/' + page, pages[who].url()).href),
  click: ({ who, on, within = 'body' }) =>
    pages[who].locator(within).getByRole('button', { name: on, exact: true }).click(),
  fill: ({ who, label, text }) => pages[who].getByLabel(label, { exact: true }).fill(text),
  choose: ({ who, label, value }) => pages[who].getByLabel(label, { exact: true }).selectOption(value),
  check: ({ who, label }) => pages[who].getByLabel(label).check(),
  /** `path` is a file of the person's own computer. */
  offer: ({ who, label, path }) => pages[who].getByLabel(label, { exact: true }).setInputFiles(path),
  reload: ({ who }) => pages[who].reload(),
  type: async ({ who, on, text }) => {
    await pages[who].locator(on).focus();
    await pages[who].keyboard.type(text);
  },
  press: ({ who, key }) => pages[who].keyboard.press(key),
  see: ({ who, text, within = 'body', limit = 20 }) =>
    pages[who].waitForFunction(
      ([selector, wanted]) => document.querySelector(selector)?.textContent?.includes(wanted),
      [within, text],
      { timeout: limit * 1000, polling: 100 },
    ),
  miss: ({ who, text, within, limit = 10 }) =>
    pages[who].waitForFunction(
      ([selector, unwanted]) => !document.querySelector(selector)?.textContent?.includes(unwanted),
      [within, text],
      { timeout: limit * 1000, polling: 100 },
    ),
  /** Until nothing is being read any more. */
  settle: ({ who }) =>
    pages[who].waitForFunction(() => !/Reading …|Loading …/.test(document.body.textContent), null, {
      polling: 100,
    }),
  /** How much of the canvas is not black. */
  pixels: ({ who, canvas }) =>
    pages[who].evaluate((selector) => {
      const element = document.querySelector(selector);
      if (!element?.width) return { width: 0, height: 0, lit: 0 };
      const { data } = element.getContext('2d').getImageData(0, 0, element.width, element.height);
      let lit = 0;
      let sum = 0; // of the picture: another one has another
      for (let at = 0; at < data.length; at += 4) {
        if (data[at] + data[at + 1] + data[at + 2] > 60) ++lit;
        sum = (sum * 31 + data[at] + data[at + 1] * 3 + data[at + 2] * 7) % 1_000_000_007;
      }
      return { width: element.width, height: element.height, lit, sum };
    }, canvas),
  focused: ({ who }) =>
    pages[who].evaluate(() => document.activeElement?.textContent?.trim().slice(0, 60) ?? ''),
  axe: async ({ who }) => {
    await pages[who].evaluate(axe);
    const found = await pages[who].evaluate(() => globalThis.axe.run());
    return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`);
  },
  sideways: ({ who }) =>
    pages[who].evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth),
  loaded: ({ who }) =>
    pages[who].evaluate(() =>
      performance
        .getEntriesByType('resource')
        .concat(performance.getEntriesByType('navigation'))
        .filter((one) => !one.name.includes('/redfish/'))
        .reduce((sum, one) => sum + one.encodedBodySize, 0),
    ),
  /** Without the messages that come and go. */
  picture: async ({ who, path }) => {
    await pages[who].waitForFunction(() => !document.querySelector('.note'), null, { polling: 100 });
    await pages[who].screenshot({ path });
  },
  url: ({ who }) => pages[who].url(),
  complaints: () => complaints,
  hosts: () => [...hosts],
};

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    const done = await orders[order.do](order);
    const plain = ['pixels', 'focused', 'axe', 'sideways', 'loaded', 'url', 'complaints', 'hosts'];
    process.stdout.write(JSON.stringify({ answer: plain.includes(order.do) ? done : null }) + '\n');
  } catch (error) {
    process.stdout.write(JSON.stringify({ fault: String(error.message).slice(0, 800) }) + '\n');
  }
}
await browser.close();
