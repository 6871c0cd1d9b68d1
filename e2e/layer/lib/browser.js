'use strict';
// A browser for SDKs that expect one: the globals of one jsdom window. Timers,
// atob and btoa stay those of Node, on which jsdom's own are built. The window's
// timers are Node's as well: the SDKs clear with clearInterval what they began
// with window.setInterval, which in a browser are the same.
const { JSDOM, ResourceLoader } = require('jsdom');

const resources = new ResourceLoader({ strictSSL: true });

module.exports = function browser(origin) {
  const dom = new JSDOM('<!doctype html><html><body></body></html>', { url: origin + '/', pretendToBeVisual: true, resources });
  const { window } = dom;
  const names = [
    'window', 'document', 'navigator', 'location', 'XMLHttpRequest', 'WebSocket', 'Blob', 'File', 'FileReader', 'localStorage', 'Storage',
    'HTMLElement', 'Event', 'CustomEvent', 'postMessage', 'addEventListener', 'removeEventListener',
  ];
  for (const name of names) {
    const value = name === 'window' ? window : window[name];
    const bound = typeof value === 'function' && /^(post|add|remove)/.test(name) ? value.bind(window) : value;
    Object.defineProperty(globalThis, name, { value: bound, configurable: true, writable: true });
  }
  for (const name of ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval']) window[name] = globalThis[name];
  return dom;
};
