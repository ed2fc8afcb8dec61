// Signs somebody in the way a browser without JavaScript would: goes where it is led, and fills in
// the first form of each page. Returns the Cookie header, with the cookies whose names match.

import { Visitor, formOf } from './visitor.mjs';

export async function signIn(url, login, names = /./) {
  const visitor = new Visitor();
  await visitor.request(url);
  for (let steps = 0; steps < 40; steps += 1) {
    if (visitor.page.status === 200 && visitor.here === url) {
      return [...visitor.jar(url)].filter(([name]) => names.test(name)).map(([name, value]) => `${name}=${value}`).join('; ');
    }
    if (await visitor.goOn()) continue;
    const form = formOf(visitor.page.text);
    await visitor.send(form?.fields.has('login') ? { login } : {});
  }
  throw new Error(`signing in at ${url} went in circles`);
}
