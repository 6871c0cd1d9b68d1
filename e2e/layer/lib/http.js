'use strict';
const assert = require('node:assert/strict');

// env is a variable that must be set.
exports.env = name => {
  const value = process.env[name];
  assert.ok(value, `${name} must be set`);
  return value;
};

// json posts a body, or without one gets, and returns what is answered.
exports.json = async (url, body) => {
  const answer = await fetch(url, body === undefined ? {} : {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${url}: ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
};
