// A browser without JavaScript, as far as a benchmark needs one: it follows redirects and refreshes,
// keeps cookies, and fills in forms. `from` is the address that a proxy in front would report.

import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as later } from 'node:timers/promises';

const NAVIGATION = {
  accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'same-origin',
};
const unescape = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#34;', '"')
  .replaceAll('&#38;', '&').replaceAll('&#x27;', "'").replaceAll('&#39;', "'");
const kept = new Agent({ keepAlive: true });

export const attribute = (tag, name) => {
  const found = tag.match(new RegExp(`\\s${name}="([^"]*)"`));
  return found && unescape(found[1]);
};

// Not fetch, which says of itself that it is no navigation.
export function exchange(address, { method = 'GET', headers, body, agent = kept }) {
  return new Promise((answered, failed) => {
    const form = body && { 'content-type': 'application/x-www-form-urlencoded' };
    const options = { method, agent, headers: { ...NAVIGATION, ...headers, ...form } };
    const request = httpRequest(address, options, async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      answered({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() });
    });
    request.on('error', failed).end(body?.toString());
  });
}

/** The first form of a page that is not about language or logout: where it goes, and its fields. */
export function formOf(page) {
  const form = [...page.matchAll(/<form[^>]*method="post"[^>]*>[\s\S]*?<\/form>/gi)].map(([text]) => text)
    .find((text) => !/\/auth\/(language|logout)"/.test(text));
  if (!form) return null;
  const fields = new URLSearchParams();
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const [name, type] = [attribute(tag, 'name'), attribute(tag, 'type') ?? 'text'];
    if (!name || (type === 'radio' && fields.has(name))) continue;
    const blank = type === 'tel' || attribute(tag, 'data-work') ? '' : 'Bench';
    fields.set(name, attribute(tag, 'value') || (type === 'checkbox' ? 'on' : blank));
  }
  for (const [tag] of form.matchAll(/<select[^>]*>/g)) fields.set(attribute(tag, 'name'), 'IT');
  return { action: attribute(form, 'action'), fields, text: form };
}

export class Visitor {
  jars = new Map();

  constructor(from) {
    this.from = from && { 'x-forwarded-for': from };
  }

  jar(address) {
    const { host } = new URL(address);
    if (!this.jars.has(host)) this.jars.set(host, new Map());
    return this.jars.get(host);
  }

  async request(address, init = {}) {
    const cookies = [...this.jar(address)].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...this.from, ...(cookies && { cookie: cookies }), ...init.headers };
    const answer = await exchange(address, { ...init, headers });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (/max-age=0/i.test(line) || value === '') this.jar(address).delete(name);
      else this.jar(address).set(name, value);
    }
    this.here = new URL(address).href;
    this.page = answer;
    return answer;
  }

  /** Takes the next step that the page takes by itself; false where it waits for a person. */
  async goOn() {
    const { location } = this.page.headers;
    const refresh = location ? null
      : this.page.text.match(/http-equiv="refresh"\s+content="(\d+)(?:;\s*url=([^"]*))?"/i);
    if (!location && !refresh) return false;
    if (refresh) await later(Math.min(Number(refresh[1]), 2) * 1000);
    await this.request(new URL(location ?? unescape(refresh[2] ?? ''), this.here).href);
    return true;
  }

  /** Opens an address, and goes on from there as far as that goes by itself. */
  async open(address) {
    await this.request(address);
    while (await this.goOn());
    return this.page;
  }

  /** Sends the page's form with these fields, and takes one step only: the answer to it. */
  async send(fields = {}) {
    const form = formOf(this.page.text);
    if (!form) throw new Error(`${this.page.status} at ${this.here} has no form:\n${this.page.text.slice(0, 2000)}`);
    for (const [name, value] of Object.entries(fields)) form.fields.set(name, value);
    const address = new URL(form.action ?? this.here, this.here);
    return this.request(address.href, { method: 'POST', body: form.fields, headers: { origin: address.origin } });
  }
}
