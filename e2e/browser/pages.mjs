// Opens every page there is in Chromium, as people do: the sandbox, the simulator's
// page for agents, the bridge's console, the survey. Wide and as narrow as a telephone,
// light and dark, by keyboard alone; axe-core must find nothing, and nothing may be
// written to the browser's console as an error.
//
//   PUBLIC_URL  the sandbox's page and the bridge's channels
//   SIM_URL     the simulator
//   ADMIN_URL   the console
//   SHOTS       folder for the pictures
//   CHROMIUM    the browser
//
// Ends with 0 when everything held, else says what did not and ends with 1.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { env, json, untilWithin } from './common.mjs';

const [sandbox, sim, admin, shots] = ['PUBLIC_URL', 'SIM_URL', 'ADMIN_URL', 'SHOTS'].map(env);
const axe = readFileSync(new URL('./node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 844 };
const patience = 60_000;
const until = untilWithin(patience);

/** A page of its own in a context of its own. done closes it, if all was well. */
async function open (browser, url, options = {}) {
  const context = await browser.newContext({ viewport: wide, colorScheme: 'light', reducedMotion: 'reduce', ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const complaints = [];
  const complain = text => { complaints.push(text); console.log(`console: ${text}`); };
  page.on('console', m => { if (m.type() === 'error') complain(m.text()); });
  page.on('pageerror', e => complain(e.stack ?? String(e)));
  await page.goto(url);
  // unless names what browsers say themselves when a server is gone.
  const done = async unless => {
    assert.deepEqual(complaints.filter(text => !unless?.test(text)), []);
    await context.close();
  };
  return { page, done };
}

/** What axe-core finds, and whether anything is cut off at the side. */
async function fits (page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map(v => `${v.id}: ${v.nodes.map(n => n.target).join(' ')}`), [], `${what}: axe-core`);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), `${what} is wider than the screen`);
  console.log(`ok   ${what}: axe-core is content, nothing is cut off`);
}

const text = async (page, selector) => (await page.locator(selector).textContent()).trim();
const shows = (page, selector, words) => page.locator(selector).getByText(words, { exact: true }).last().waitFor();

/** The sandbox's page, ready to be written on. */
async function atSandbox (browser, options) {
  const opened = await open(browser, sandbox, options);
  await opened.page.locator('#channel option').first().waitFor({ state: 'attached' });
  await until('the page is live', async () => (await text(opened.page, '#bridge-state')) === 'The bridge runs');
  return opened;
}

async function say (page, words) {
  await page.locator('#words').fill(words);
  await page.locator('#words').press('Enter');
  await shows(page, '#transcript', words);
}

/** One conversation on a channel, with everything an agent can send from the page. */
async function converse (page, channel) {
  await page.locator('#channel').selectOption(channel);
  await say(page, `My parcel is late (${channel})`);
  await page.locator('#words').pressSequentially('and');
  await until(`${channel}: the agent sees typing`, async () => (await text(page, '#consumer-types')) !== '');
  await page.locator('#words').fill('');
  await until(`${channel}: and no longer`, async () => (await text(page, '#consumer-types')) === '');
  await page.locator('#answer').pressSequentially('Let me');
  await until(`${channel}: the consumer sees typing`, async () => (await text(page, '#agent-types')) !== '');
  await page.locator('#quick').fill('Yes, No');
  await page.locator('#answer').fill('Shall we send another?');
  await page.locator('#answer').press('Enter');
  await shows(page, '#said', 'Shall we send another?');
  await until(`${channel}: the agent has a name and a face`, () => page.evaluate(() => [...document.querySelectorAll('#said li:not(.own)')].some(
    li => /^Bea /.test(li.querySelector('.by')?.textContent ?? '') && li.querySelector('.face')?.naturalWidth > 0)));
  await until(`${channel}: typing ended with the message`, async () => (await text(page, '#agent-types')) === '');
  await page.locator('#said').getByRole('button', { name: 'Yes' }).last().click();
  await shows(page, '#transcript', 'Yes');
  await page.locator('#picture').click();
  await until(`${channel}: the picture is shown`, () => page.evaluate(() => [...document.querySelectorAll('#said .shot')].some(i => i.naturalWidth === 320)));
  const [picture] = await Promise.all([page.context().waitForEvent('page'), page.locator('#said .opens').last().click()]);
  await picture.waitForURL(/^http/);
  assert.match((await fetch(picture.url())).headers.get('content-type'), /^image\//, `${channel}: what opens is the picture`);
  await picture.close();
  await page.locator('#card').click();
  await page.locator('#said .card').last().getByRole('button', { name: 'Blue' }).click();
  await shows(page, '#transcript', 'I want blue');
  await until(`${channel}: the card is drawn`, () => page.evaluate(() => [...document.querySelectorAll('#said .card img')].every(i => i.naturalWidth > 0)));
  const steps = async words => (await page.locator('#flows li', { hasText: words }).first().innerText()).replaceAll('\n', ' ');
  await until(`${channel}: each step of the way is shown`, async () => /on disk [\d.]+ sent [\d.]+ echoed [\d.]+/.test(await steps(`late (${channel})`)));
  await until(`${channel}: and back`, async () => /on disk [\d.]+ .*delivered [\d.]+/.test(await steps('(card)')));
}

async function conversations (browser) {
  const { page, done } = await atSandbox(browser);
  for (const channel of ['layer', 'chatwootapi', 'webhook']) {
    await converse(page, channel);
    // A draft stays with its conversation.
    await page.locator('#words').fill(`draft on ${channel}`);
  }
  for (const channel of ['layer', 'webhook']) {
    await page.locator('#channel').selectOption(channel);
    assert.equal(await page.locator('#words').inputValue(), `draft on ${channel}`);
  }
  console.log('ok   drafts stayed where they were written');
  await page.locator('#words').fill('');
  assert.match(await text(page, '#agent-what'), /^Ana/);
  await until('everything arrived once', async () => /^[1-9]\d* (\d+) 0 0 0$/.test((await counts(page, 'toChannel')).join(' ')));
  await fits(page, 'the sandbox');
  await page.locator('#words').blur();
  await page.screenshot({ path: `${shots}/sandbox.png` });
  await done();
}

const counts = (page, direction) => page.locator(`#ledger [data-direction=${direction}] td`).allTextContents();

async function closing (browser) {
  const { page, done } = await atSandbox(browser, { colorScheme: 'dark' });
  for (const channel of ['layer', 'chatwootapi', 'webhook']) {
    await page.locator('#channel').selectOption(channel);
    await say(page, `goodbye on ${channel}`);
    await page.locator('#words').pressSequentially('wait');
    await until(`${channel}: the consumer types`, async () => (await text(page, '#consumer-types')) !== '');
    await page.locator('#answer').pressSequentially('But');
    await until(`${channel}: the agent types`, async () => (await text(page, '#agent-types')) !== '');
    await page.locator('#survey').click();
    await until(`${channel}: a conversation that is over shows no typing`, async () =>
      /survey/.test(await text(page, '#agent-what')) && (await text(page, '#consumer-types')) + (await text(page, '#agent-types')) === '');
    await page.locator('#words').fill('');
    await page.locator('#said').getByRole('button', { name: '5', exact: true }).last().click();
    await page.locator('#said').getByRole('button', { name: 'Yes', exact: true }).last().click();
    await until(`${channel}: the survey is answered`, async () => /csat: 5 · fcr: Yes/.test(await text(page, '#agent-what')));
    await shows(page, '#said', 'The conversation was closed');
    assert.equal(await text(page, '#typing-left'), '0');
    for (const direction of ['toLivePerson', 'toChannel']) assert.equal((await counts(page, direction))[2], '0', `${channel}: twice, ${direction}`);
  }
  await done();
}

/** By keyboard alone: faults on, twenty messages, and the bridge killed under them. */
async function misbehaving (browser) {
  const { page, done } = await atSandbox(browser, { colorScheme: 'dark' });
  await say(page, 'hello');
  const reach = async selector => {
    for (let i = 0; i < 60; i++) {
      if (await page.evaluate(s => document.activeElement?.matches(s), selector)) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`${selector} cannot be reached by keyboard`);
  };
  await page.locator('body').focus();
  for (const fault of ['lostAnswers', 'webhooks']) {
    await reach(`[data-fault=${fault}]`);
    await page.keyboard.press('Space');
  }
  await until('the badge says that faults are on', () => page.locator('#faults-on').isVisible());
  const [before] = await counts(page, 'toLivePerson');
  await reach('#burst');
  await page.keyboard.press('Enter');
  await until('the bridge took all of it', async () => Number((await counts(page, 'toLivePerson'))[0]) === Number(before) + 20);
  await fits(page, 'the sandbox, dark, with faults on');
  await page.screenshot({ path: `${shots}/sandbox-dark.png` });
  await reach('#kill');
  await page.keyboard.press('Enter');
  await until('the bridge is gone', async () => /killed/.test(await text(page, '#bridge-state')));
  await until('the bridge is back', async () => (await text(page, '#bridge-state')) === 'The bridge runs');
  await until('all arrived, none twice', async () => {
    const [sent, once, twice, way, lost] = (await counts(page, 'toLivePerson')).map(Number);
    assert.equal(twice, 0, 'a message arrived twice');
    return way + lost === 0 && sent === once;
  });
  assert.equal(await text(page, '#typing-left'), '0');
  for (const fault of ['lostAnswers', 'webhooks']) {
    await reach(`[data-fault=${fault}]`);
    await page.keyboard.press('Space');
  }
  await until('the badge is gone', () => page.locator('#faults-on').isHidden());
  await done(/503|WebSocket/);
}

async function telephone (browser) {
  const { page, done } = await atSandbox(browser, { viewport: narrow });
  const pane = name => page.locator(`.tabs [data-pane=${name}]`).click();
  await page.locator('#words').fill('Which shoes do you have?');
  await page.locator('#words').press('Enter');
  await pane('agent');
  await shows(page, '#transcript', 'Which shoes do you have?');
  await page.locator('#card').click();
  await fits(page, 'the agent on a telephone');
  await pane('bridge');
  await fits(page, 'the bridge on a telephone');
  await pane('consumer');
  await page.locator('#said .card').getByRole('button', { name: 'Red' }).waitFor();
  await until('the card is drawn', () => page.evaluate(() => [...document.querySelectorAll('#said .card img')].every(i => i.naturalWidth > 0)));
  await fits(page, 'the consumer on a telephone');
  assert.equal(await page.locator('#agent').isVisible(), false, 'one pane at a time');
  await page.screenshot({ path: `${shots}/sandbox-390.png` });
  await done();
}

/** The pages that are not of the sandbox. */
async function others (browser) {
  const inbox = `${sandbox}/public/api/v1/inboxes/sandbox/contacts`;
  const source = randomUUID();
  await json('POST', inbox, { source_id: source, name: 'Ana' });
  const { id } = await json('POST', `${inbox}/${source}/conversations`, {});
  const words = `bye ${source}`;
  await json('POST', `${inbox}/${source}/conversations/${id}/messages`, { content: words });
  const { conversationId } = await until('there is a conversation', async () => (await json('GET', `${sim}/sim/conversations`)).find(c => c.lastText === words));
  for (const [where, viewport, colorScheme] of [['wide', wide, 'light'], ['on a telephone', narrow, 'dark']]) {
    const agent = await open(browser, `${sim}/#${conversationId}`, { viewport, colorScheme });
    await agent.page.locator('#transcript li').first().waitFor();
    await fits(agent.page, `the agent's page, ${where}, ${colorScheme}`);
    await agent.page.locator('#text').focus();
    await agent.page.keyboard.type(`Hello, ${where}, ${colorScheme}`);
    await agent.page.keyboard.press('Enter');
    await shows(agent.page, '#transcript', `Hello, ${where}, ${colorScheme}`);
    await agent.done();

    const operator = await open(browser, admin, { viewport, colorScheme });
    await operator.page.locator('#channels .card').first().waitFor();
    await fits(operator.page, `the console, ${where}, ${colorScheme}`);
    await operator.page.keyboard.press('Tab');
    assert.notEqual(await operator.page.evaluate(() => document.activeElement.tagName), 'BODY', 'the console cannot be used by keyboard');
    await operator.done();
  }
  await json('POST', `${sim}/sim/conversations/${conversationId}/agent/close`, { survey: false });
  await until('the survey is offered', async () => (await json('GET', `${inbox}/${source}/conversations/${id}/messages`)).some(m => m.content_type === 'input_csat'));
  const { uuid } = await json('GET', `${inbox}/${source}/conversations/${id}`);
  for (const viewport of [wide, narrow]) {
    const survey = await open(browser, `${sandbox}/survey/responses/${uuid}`, { viewport });
    await fits(survey.page, `the survey, ${viewport.width} px`);
    if (viewport === narrow) {
      await survey.page.keyboard.press('Tab');
      await survey.page.keyboard.press('Space');
      await survey.page.keyboard.press('ArrowRight');
      await survey.page.keyboard.press('Enter');
      await until('the survey is answered by keyboard', async () => (await json('GET', `${sim}/sim/conversations/${conversationId}`)).csat?.csatRate > 0);
    }
    await survey.done();
  }
}

const browser = await chromium.launch({ executablePath: env('CHROMIUM'), args: ['--no-sandbox'] });
try {
  for (const run of [conversations, telephone, closing, misbehaving, others]) {
    const began = Date.now();
    await run(browser);
    console.log(`-- ${run.name} took ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
  console.log('all held');
} finally {
  await browser.close();
}
