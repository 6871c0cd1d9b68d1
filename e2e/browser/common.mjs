// What the drivers of a browser share.
import assert from 'node:assert/strict';

export const env = name => process.env[name] ?? assert.fail(`${name} must be set`);

export async function json (method, url, body) {
  const answer = await fetch(url, { method, headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body) });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${url}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/** An until that asks whether something is so, for at most so many milliseconds. */
export const untilWithin = patience => async (what, so) => {
  for (const end = Date.now() + patience; Date.now() < end; await new Promise(resolve => setTimeout(resolve, 50))) {
    const value = await so();
    if (value) {
      console.log(`ok   ${what}`);
      return value;
    }
  }
  assert.fail(`never: ${what}`);
};
