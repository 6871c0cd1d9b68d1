// Looks at the operator's console in Chromium while consumers write, and in an
// outage of LivePerson: the charts of the last hour, their tables, dark and narrow.
// Nothing may be written to the browser's console as an error.
//
//   ADMIN_URL   the console, such as http://127.0.0.1:8081
//   PUBLIC_URL  the bridge
//   SIM_URL     the simulator
//   SHOTS       folder for the pictures
//   CHROMIUM    the browser
//
// Ends with 0 when everything held, else says what did not and ends with 1.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { chromium } from 'playwright-core';
import { env, json, untilWithin } from './common.mjs';

const [admin, bridge, sim, shots] = ['ADMIN_URL', 'PUBLIC_URL', 'SIM_URL', 'SHOTS'].map(env);
const patience = 90_000;
const until = untilWithin(patience);

const complaints = [];

async function open (browser, options) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  page.on('console', m => { if (m.type() === 'error') complaints.push(m.text()); });
  page.on('pageerror', e => complaints.push(String(e)));
  await page.goto(admin);
  return page;
}

/** Consumers who type and write, and an agent who answers, until they are told to stop. */
function talk () {
  let going = true;
  const inbox = `${bridge}/public/api/v1/inboxes/sandbox/contacts`;
  const done = (async () => {
    const people = [];
    for (let i = 0; i < 3; i++) {
      const source = randomUUID();
      await json('POST', inbox, { source_id: source, name: 'Ana' });
      const thread = await json('POST', `${inbox}/${source}/conversations`, {});
      people.push(`${inbox}/${source}/conversations/${thread.id}`);
    }
    for (let n = 0; going; n++) {
      const at = people[n % people.length];
      await json('POST', `${at}/toggle_typing`, { typing_status: 'on' });
      await new Promise(resolve => setTimeout(resolve, 200 + 150 * (n % 5)));
      await json('POST', `${at}/messages`, { content: `message ${n}` });
      if (n % 3 !== 0) continue;
      for (const c of await json('GET', `${sim}/sim/conversations?limit=3`)) {
        await json('POST', `${sim}/sim/conversations/${c.conversationId}/agent/messages`, { text: `answer ${n}` }).catch(() => {});
      }
    }
  })();
  return async () => { going = false; await done; };
}

// From its top: the bar stays there.
async function shoot (page, name) {
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({ path: `${shots}/${name}.png` });
}

const drawn = page => page.locator('#hour .chart .first').evaluateAll(lines => lines.filter(line => (line.getAttribute('d') ?? '').split(/[ML]/).length > 3).length);
const fits = page => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

const browser = await chromium.launch({ executablePath: env('CHROMIUM'), args: ['--no-sandbox'] });
const hush = talk();
try {
  const page = await open(browser, { viewport: { width: 1200, height: 1250 }, colorScheme: 'light' });
  await until('charts are drawn', async () => await drawn(page) >= 5);
  await page.locator('#hour h3').getByText('chatwootapi → LivePerson').waitFor();
  const label = await page.locator('#hour svg').first().getAttribute('aria-label');
  assert.match(label, /Accepted, delivered: now \d+ and \d+ in 10 s, at most \d+ since/);
  await page.locator('#hour details').first().locator('summary').click();
  const heads = await page.locator('#hour details').first().locator('th[scope=col]').allTextContents();
  assert.deepEqual(heads, ['From', 'Accepted', 'Delivered', 'Slowest lag', '429', 'Typing told']);
  const cells = await page.locator('#hour details').first().locator('tbody td').allTextContents();
  assert.ok(Number(cells[0]) > 5, `the table says ${cells}`);
  await page.locator('#hour details').first().locator('summary').click();
  assert.equal(await page.locator('#state').textContent(), 'Ready');
  await shoot(page, 'console-well');

  const narrow = await open(browser, { viewport: { width: 390, height: 844 }, colorScheme: 'dark' });
  await until('charts are drawn on a narrow page', async () => await drawn(narrow) >= 5);
  assert.ok(await fits(narrow), 'the page is wider than the screen');
  const colors = await narrow.locator('#hour .chart .first').first().evaluate(line => [getComputedStyle(line).stroke, getComputedStyle(document.body).backgroundColor]);
  assert.deepEqual(colors, ['rgb(124, 196, 188)', 'rgb(21, 25, 26)'], 'the dark colours');
  await narrow.evaluate(() => document.getElementById('hour-title').scrollIntoView());
  await narrow.screenshot({ path: `${shots}/console-narrow.png` });

  await json('PUT', `${sim}/sim/faults`, { outages: [{ forMs: 600_000, status: 503 }] });
  await until('the outage is seen', async () => /trouble/.test(await page.locator('#state').textContent()));
  assert.equal(await page.locator('#state').getAttribute('data-tone'), 'bad');
  await until('the notice says so in red', async () => /failing for .* the oldest event waits for/.test(await page.locator('#notice').textContent()));
  assert.equal(await page.locator('#notice').getAttribute('data-tone'), 'bad');
  const before = await page.locator('#hour svg').first().getAttribute('aria-label');
  await until('the charts show it', async () => {
    const now = await page.locator('#hour svg').first().getAttribute('aria-label');
    return now !== before && / and 0 in 10 s/.test(now);
  });
  await shoot(page, 'console-outage');
  assert.match(await page.locator('#typing .card').nth(1).textContent(), /Agents, to channels\s*Nothing yet/);
  await until('a narrow page says so, too', async () => await narrow.locator('#state').getAttribute('data-tone') === 'bad');
  assert.ok(await fits(narrow), 'the page is wider than the screen in an outage');
  assert.deepEqual(complaints, []);
  console.log('all held');
} finally {
  await hush().catch(e => console.log(String(e)));
  await json('PUT', `${sim}/sim/faults`, {}).catch(() => {});
  await browser.close();
}
