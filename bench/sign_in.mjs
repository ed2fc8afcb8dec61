// Signs somebody in at a gateway the way a browser without JavaScript would: goes where it is led,
// and fills in the first form of each page. Returns the session's Cookie header.

import { Visitor, formOf } from './visitor.mjs';

export async function signIn(url, login) {
  const visitor = new Visitor();
  await visitor.request(url);
  for (let steps = 0; steps < 40; steps += 1) {
    if (visitor.page.status === 200 && visitor.here === url) {
      const name = '__Host-vestibule';
      return `${name}=${visitor.jar(url).get(name)}`;
    }
    if (await visitor.goOn()) continue;
    const form = formOf(visitor.page.text);
    await visitor.send(form?.fields.has('login') ? { login } : {});
  }
  throw new Error('signing in went in circles');
}
