// Looks at what a consumer sees, in Chromium: Layer's web-xdk UI with what the
// simulator's agent sends from the agent's page, and Chatwoot's survey page. Nothing
// may be written to the browser's console as an error.
//
//   BASE_URL      the layer channel over https, such as https://127.0.0.1:8443/layer
//   PUBLIC_URL    the bridge, such as http://127.0.0.1:8080
//   SIM_URL       the simulator
//   CONSUMER_KEY  the bridge's
//   SHOTS         folder for the pictures
//   CHROMIUM      the browser
//
// Ends with 0 when everything held, else says what did not and ends with 1.
import assert from 'node:assert/strict';
import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { env, json, untilWithin } from './common.mjs';

const [base, bridge, sim, shots] = ['BASE_URL', 'PUBLIC_URL', 'SIM_URL', 'SHOTS'].map(env);
const here = name => fileURLToPath(new URL(name, import.meta.url));
const origin = 'https://consumer.example';
// As wide as a telephone.
const viewport = { width: 390, height: 844 };
const patience = 20_000;
const until = untilWithin(patience);

// pixel is the smallest picture.
const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

// A picture is made in the browser, so that nothing of it is left to guess.
const drawn = page => page.evaluate(() => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 180];
  const pen = canvas.getContext('2d');
  pen.fillStyle = '#2f6f4f';
  pen.fillRect(0, 0, 320, 180);
  pen.fillStyle = '#fff';
  pen.font = '48px sans-serif';
  pen.fillText('Our shop', 60, 105);
  return canvas.toDataURL('image/png').split(',')[1];
});

/** A page of its own, and what its console complains of. */
async function open (browser, options = {}) {
  const context = await browser.newContext({ viewport, colorScheme: 'light', ignoreHTTPSErrors: true, ...options });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  const complaints = [];
  // Said at once, because a test that waits in vain says nothing else.
  const complain = text => { complaints.push(text); console.log(`console: ${text}`); };
  page.on('console', m => { if (m.type() === 'error') complain(m.text()); });
  page.on('pageerror', e => complain(e.stack ?? String(e)));
  page.on('requestfailed', r => console.log(`failed: ${r.method()} ${new URL(r.url()).pathname} ${r.failure()?.errorText}`));
  return { page, complaints };
}

// What the agent sees of a consumer's conversation.
async function seen (consumer) {
  const all = await json('GET', `${sim}/sim/conversations`);
  const found = all.find(c => c.extConsumerId === consumer);
  return found && json('GET', `${sim}/sim/conversations/${found.conversationId}`);
}

/** The agent of the simulator's page. */
async function agentOf (browser, conversation) {
  const { page, complaints } = await open(browser, { viewport: { width: 1200, height: 900 } });
  await page.goto(`${sim}/#${conversation}`);
  await page.locator('#reply').waitFor();
  await page.locator('#other summary').click();
  const send = async fill => {
    await fill();
    await page.locator('#reply button[type=submit]').click();
    await page.waitForFunction(() => document.getElementById('text').value === '' && document.getElementById('rich').value === '' && !document.getElementById('file').files.length);
    assert.equal(await page.locator('#error').textContent(), '');
  };
  return {
    complaints,
    picture: () => send(async () => page.locator('#file').setInputFiles({ name: 'shop.png', mimeType: 'image/png', buffer: Buffer.from(await drawn(page), 'base64') })),
    card: () => send(() => page.locator('#card').click()),
    asks: (text, replies) => send(async () => { await page.locator('#text').fill(text); await page.locator('#replies').fill(replies); }),
  };
}

// chosen waits for what LivePerson wants to hear of a click: ACTION, then the words.
async function chosen (consumer, words, metadata) {
  await until(`the agent reads "${words}"`, async () => (await seen(consumer)).transcript.some(e => e.text === words));
  const { transcript } = await seen(consumer);
  const own = transcript.filter(e => e.role === 'CONSUMER' && (e.status === 'ACTION' || e.type === 'ContentEvent'));
  const at = own.findIndex(e => e.text === words);
  assert.equal(own[at - 1]?.status, 'ACTION', `no ACTION before "${words}"`);
  if (metadata) assert.deepEqual(own[at - 1].metadata, metadata);
}

async function layer (browser) {
  const user = `consumer-${randomUUID()}`;
  const consumer = `layer:${createHmac('sha256', env('CONSUMER_KEY')).update(`layer\0${user}`).digest('hex').slice(0, 40)}`;
  const { page, complaints } = await open(browser);
  const bundled = await build({
    entryPoints: [here('app.js')], bundle: true, write: false, define: { global: 'window' }, nodePaths: [here('../layer/node_modules')], logLevel: 'error',
  });
  const require = createRequire(here('../layer/package.json'));
  const theme = readFileSync(require.resolve('@layerhq/web-xdk/themes/layer-basic-blue.min.css'), 'utf8');
  const load = async (page, where) => {
    await page.route(`${origin}/**`, route => route.fulfill({
      contentType: 'text/html',
      body: '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>web-xdk</title><link rel="icon" href="data:,"></head><body></body></html>',
    }));
    // The SDK shows places on a picture of Google's.
    await page.route('https://maps.googleapis.com/**', route => route.fulfill({ contentType: 'image/png', body: Buffer.from(pixel, 'base64') }));
    await page.exposeFunction('identify', async nonce => (await json('POST', `${bridge}/layer/sandbox/identity_token`, { nonce, user_id: user })).identity_token);
    await page.goto(origin);
    await page.addStyleTag({ content: `${theme}\nhtml, body { height: 100%; margin: 0; } layer-conversation-view { display: flex; height: 100%; }` });
    await page.evaluate(where => { window.where = where; }, { appId: 'layer:///apps/staging/sandbox', base, user, ...where });
    await page.addScriptTag({ content: bundled.outputFiles[0].text });
  };
  await load(page);

  const { conversationId } = await until('the consumer\'s first words arrive', () => seen(consumer));
  const agent = await agentOf(browser, conversationId);
  await agent.picture();
  await page.waitForFunction(() => [...document.querySelectorAll('layer-image-message-view img')].some(img => img.naturalWidth === 320) ||
    document.querySelector('layer-image-message-view canvas'));
  console.log('ok   the picture is shown');
  await agent.card();
  const red = page.locator('layer-buttons-message-view layer-choice-button').getByText('Red', { exact: true });
  const blue = page.locator('layer-buttons-message-view layer-choice-button').getByText('Blue', { exact: true });
  await red.waitFor();
  await page.getByText('Running shoes').first().waitFor();
  console.log('ok   the card is shown');
  await agent.asks('Shall we send them?', 'Yes, No');
  const no = page.locator('layer-choice-message-view').getByText('No', { exact: true });
  await no.waitFor();
  console.log('ok   the quick replies are shown');
  await page.screenshot({ path: `${shots}/layer-card.png` });
  await blue.click();
  await chosen(consumer, 'I want blue', [{ type: 'ExternalId', id: 'Blue' }]);
  await no.click();
  await chosen(consumer, 'No');
  const rich = content => json('POST', `${sim}/sim/conversations/${conversationId}/agent/messages`, { rich: content });
  await rich({ type: 'map', la: 38.72, lo: -9.14, title: 'Our shop in Lisbon' });
  await page.locator('layer-message-viewer', { has: page.locator('layer-location-message-view') }).getByText('Our shop in Lisbon').waitFor();
  console.log('ok   the place is shown');
  await rich({ type: 'linkPreview', url: 'https://shop.example/size-guide', title: 'Size guide' });
  await page.locator('layer-message-viewer', { has: page.locator('layer-link-message-view') }).getByText('Size guide').first().waitFor();
  console.log('ok   the link is shown');
  await page.screenshot({ path: `${shots}/layer-place.png` });

  const other = await open(browser);
  await load(other.page, { conversationId: await page.evaluate(() => window.conversationId) });
  await other.page.locator('layer-choice-message-view.layer-choice-message-view-complete').getByText('No', { exact: true }).waitFor();
  console.log('ok   another device shows what was chosen');
  assert.deepEqual(other.complaints, []);
  assert.deepEqual(complaints, []);
  assert.deepEqual(agent.complaints, []);
}

async function survey (browser) {
  const inbox = `${bridge}/public/api/v1/inboxes/sandbox/contacts`;
  const source = randomUUID();
  const words = `goodbye ${source}`;
  await json('POST', inbox, { source_id: source, name: 'Ana' });
  const thread = await json('POST', `${inbox}/${source}/conversations`, {});
  const messages = `${inbox}/${source}/conversations/${thread.id}/messages`;
  await json('POST', messages, { content: words });
  const find = async () => {
    for (const c of await json('GET', `${sim}/sim/conversations?limit=20`)) {
      const whole = await json('GET', `${sim}/sim/conversations/${c.conversationId}`);
      if (whole.transcript.some(e => e.text === words)) return whole;
    }
    return undefined;
  };
  const { conversationId } = await until('the consumer\'s words arrive', find);
  await json('POST', `${sim}/sim/conversations/${conversationId}/agent/close`, { survey: false });
  const asked = await until('the survey is offered', async () => (await json('GET', messages)).find(m => m.content_type === 'input_csat'));
  const { page, complaints } = await open(browser);
  const address = asked.content.match(/https?:\/\/\S+/)?.[0] ?? `${bridge}/survey/responses/${(await json('GET', `${inbox}/${source}/conversations/${thread.id}`)).uuid}`;
  await page.goto(address.replace(/^https?:\/\/[^/]+/, bridge));
  const choices = page.locator('input[type=radio]');
  assert.equal(await choices.count(), 5);
  await page.locator('textarea').fill('quick and kind');
  await choices.nth(3).check();
  await page.screenshot({ path: `${shots}/survey.png` });
  // Nothing is cut off at the side of a small screen.
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'the page is wider than the screen');
  await page.locator('button[type=submit], input[type=submit]').first().click();
  await until('LivePerson has the rating', async () => (await json('GET', `${sim}/sim/conversations/${conversationId}`)).csat?.csatRate === 4);
  const { csat } = await json('GET', `${sim}/sim/conversations/${conversationId}`);
  assert.equal(csat.csatResolutionConfirmation, undefined, 'nobody asked whether it was resolved');
  assert.deepEqual(complaints, []);
}

// The page is one of the internet, and the bridge is on this machine: browsers ask
// people before they let the one call the other.
const browser = await chromium.launch({ executablePath: env('CHROMIUM'), args: ['--no-sandbox', '--disable-features=LocalNetworkAccessChecks'] });
try {
  await survey(browser);
  await layer(browser);
  console.log('all held');
} finally {
  await browser.close();
}
