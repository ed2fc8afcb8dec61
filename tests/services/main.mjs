// The neighbours of the gateway in its tests, on loopback: OpenID providers, mail servers, and lines
// that lose what passes, as many as tests ask for. Prints one line of JSON with the address of its
// control endpoint, which speaks JSON and takes the orders listed in `routes`.

import { createServer } from 'node:http';
import { Line } from './line.mjs';
import { Issuer } from './provider.mjs';
import { Mailbox } from './mailbox.mjs';
import { believed, isRight } from './signatures.mjs';

const providers = [];
const mailboxes = [];
const lines = [];

const routes = {
  'POST /providers': async (_, wish) => {
    const issuer = await Issuer.start(wish);
    return { id: providers.push(issuer) - 1, issuer: issuer.url };
  },
  'POST /providers/:id/clients': (id, client) => providers[id].addClient(client),
  'POST /providers/:id/people': (id, person) => providers[id].addPerson(person),
  'POST /providers/:id/rotate': (id) => providers[id].rotateKeys(),
  'POST /providers/:id/access-tokens': (id, wish) => providers[id].accessToken(wish),
  'POST /providers/:id/revocations': (id, token) => providers[id].revoke(token),
  'GET /providers/:id/revoked': (id) => ({ count: providers[id].revoked }),
  'POST /providers/:id/stop': (id) => providers[id].stop(),
  'POST /providers/:id/resume': (id) => providers[id].resume(),
  'POST /signatures': (_, signed) => isRight(signed),
  'POST /assertions': (_, assertion) => believed(assertion),
  'POST /mailboxes': async (_, wish) => {
    const mailbox = await Mailbox.start(wish);
    return { id: mailboxes.push(mailbox) - 1, port: mailbox.port };
  },
  'POST /mailboxes/:id/manner': (id, { manner }) => {
    mailboxes[id].manner = manner;
  },
  'POST /mailboxes/:id/stop': (id) => mailboxes[id].stop(),
  'POST /mailboxes/:id/resume': (id) => mailboxes[id].resume(),
  'GET /mailboxes/:id': (id) => mailboxes[id].letters,
  'POST /lines': async (_, wish) => {
    const line = await Line.start(wish);
    return { id: lines.push(line) - 1, url: line.url };
  },
  'POST /lines/:id/losses': (id, loss) => lines[id].lose(loss),
  'GET /lines/:id': (id) => lines[id].lost,
};

async function answer(request) {
  const [, kind, id, rest] = request.url.split('/');
  const pattern = [`${request.method} /${kind}`, id && ':id', rest].filter(Boolean).join('/');
  const route = routes[pattern];
  if (!route) throw new Error(`no route ${pattern}`);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
  return (await route(Number(id), body)) ?? {};
}

const control = createServer((request, response) => {
  answer(request).then(
    (result) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(result)),
    (error) => response.writeHead(500).end(String(error.stack)),
  );
});

control.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ control: `http://127.0.0.1:${control.address().port}` }));
});
