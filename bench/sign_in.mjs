// Signs somebody in at a gateway the way a browser without JavaScript would: follows redirects,
// keeps cookies, and fills in the first form of each page. Returns the session's Cookie header.

import { request as httpRequest } from 'node:http';

const NAVIGATION = {
  accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-site': 'same-origin',
};
const unescape = (text) => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#34;', '"')
  .replaceAll('&#38;', '&').replaceAll('&#x27;', "'").replaceAll('&#39;', "'");

// Not fetch, which says of itself that it is no navigation.
function exchange(address, { method = 'GET', headers, body }) {
  return new Promise((answered, failed) => {
    const form = body && { 'content-type': 'application/x-www-form-urlencoded' };
    const request = httpRequest(address, { method, headers: { ...headers, ...form } }, async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      answered({ status: response.statusCode, headers: response.headers, text: Buffer.concat(chunks).toString() });
    });
    request.on('error', failed).end(body?.toString());
  });
}

export async function signIn(url, login) {
  const jars = new Map();
  const jar = (address) => {
    const { host } = new URL(address);
    if (!jars.has(host)) jars.set(host, new Map());
    return jars.get(host);
  };

  async function request(address, init = {}) {
    const cookies = [...jar(address)].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...NAVIGATION, ...(cookies && { cookie: cookies }), ...init.headers };
    const answer = await exchange(address, { ...init, headers });
    for (const line of answer.headers['set-cookie'] ?? []) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (/max-age=0/i.test(line) || value === '') jar(address).delete(name);
      else jar(address).set(name, value);
    }
    return answer;
  }

  const attribute = (tag, name) => {
    const found = tag.match(new RegExp(`\\s${name}="([^"]*)"`));
    return found && unescape(found[1]);
  };

  function filled(page) {
    const form = [...page.matchAll(/<form[^>]*method="post"[^>]*>[\s\S]*?<\/form>/gi)].map(([text]) => text)
      .find((text) => !/\/auth\/(language|logout)"/.test(text));
    if (!form) return null;
    const fields = new URLSearchParams();
    for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
      const [name, type] = [attribute(tag, 'name'), attribute(tag, 'type') ?? 'text'];
      if (!name || (type === 'radio' && fields.has(name))) continue;
      const blank = type === 'tel' ? '' : 'Bench';
      const value = attribute(tag, 'value') || (type === 'checkbox' ? 'on' : blank);
      fields.set(name, name === 'login' ? login : value);
    }
    for (const [tag] of form.matchAll(/<select[^>]*>/g)) fields.set(attribute(tag, 'name'), 'IT');
    return { action: attribute(form, 'action'), fields };
  }

  let [here, answer] = [url, await request(url)];
  for (let steps = 0; steps < 40; steps += 1) {
    if (answer.status === 200 && here === url) {
      const name = '__Host-vestibule';
      return `${name}=${jar(url).get(name)}`;
    }
    const location = answer.headers.location;
    const page = location ? '' : answer.text;
    const refresh = page.match(/http-equiv="refresh"\s+content="(\d+)(?:;\s*url=([^"]*))?"/i);
    const form = filled(page);
    if (location) {
      here = new URL(location, here).href;
      answer = await request(here);
    } else if (refresh) {
      await new Promise((later) => setTimeout(later, Math.min(Number(refresh[1]), 2) * 1000));
      if (refresh[2]) here = new URL(unescape(refresh[2]), here).href;
      answer = await request(here);
    } else if (form) {
      here = new URL(form.action ?? here, here).href;
      const origin = new URL(here).origin;
      answer = await request(here, { method: 'POST', body: form.fields, headers: { origin } });
    } else {
      throw new Error(`${answer.status} at ${here} leads nowhere:\n${page.slice(0, 2000)}`);
    }
  }
  throw new Error('signing in went in circles');
}
