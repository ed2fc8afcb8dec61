// An OpenID provider that is fast enough for a storm of logins: it keeps nothing but codes under way
// and signs with ES256. Prints its issuer as JSON. `/authorize` asks who one is, or takes it from
// `login`; `/bearer?audience=…&subject=…` gives an access token for APIs (RFC 9068).

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';

const LIFE = 3600; // of tokens, seconds
const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const kid = randomUUID();
const underWay = new Map();

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
const now = () => Math.floor(Date.now() / 1000);

function signed(typ, claims) {
  const text = `${part({ alg: 'ES256', typ, kid })}.${part({ iss: issuer, iat: now(), exp: now() + LIFE, ...claims })}`;
  return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

const claimsOf = (login) => ({ sub: login, name: login, email: `${login}@example.org`, email_verified: true });

function authorize(query) {
  if (!query.has('login')) {
    const kept = [...query].map(([name, value]) => `<input type="hidden" name="${name}" value="${value.replaceAll('"', '&quot;')}">`);
    return [200, {}, `<form method="post" action="/authorize">${kept.join('')}<input name="login"></form>`];
  }
  const code = randomUUID();
  underWay.set(code, query);
  const back = new URL(query.get('redirect_uri'));
  for (const [name, value] of Object.entries({ code, state: query.get('state'), iss: issuer })) back.searchParams.set(name, value);
  return [303, { location: back.href }];
}

function token(form) {
  const query = underWay.get(form.get('code'));
  underWay.delete(form.get('code'));
  const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
  if (query?.get('code_challenge') !== challenge) return [400, {}, { error: 'invalid_grant' }];
  const claims = { ...claimsOf(query.get('login')), aud: query.get('client_id'), nonce: query.get('nonce'), auth_time: now() };
  return [200, {}, {
    access_token: query.get('login'), token_type: 'Bearer', expires_in: LIFE, id_token: signed('JWT', claims),
  }];
}

const answers = {
  '/.well-known/openid-configuration': () => [200, {}, {
    issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`, jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'],
    subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'],
    code_challenge_methods_supported: ['S256'], authorization_response_iss_parameter_supported: true,
  }],
  '/jwks': () => [200, {}, { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }] }],
  '/authorize': authorize,
  '/token': token,
  '/userinfo': (_, request) => [200, {}, claimsOf(request.headers.authorization.slice('Bearer '.length))],
  '/bearer': (query) => [200, {}, signed('at+jwt', {
    sub: query.get('subject'), aud: query.get('audience'), client_id: 'bench', jti: randomUUID(), scope: 'read',
  })],
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const query = chunks.length ? new URLSearchParams(Buffer.concat(chunks).toString()) : url.searchParams;
  const [status, headers, body = ''] = answers[url.pathname]?.(query, request) ?? [404, {}];
  const isText = typeof body === 'string';
  response.writeHead(status, { 'content-type': isText ? 'text/html' : 'application/json', ...headers });
  response.end(isText ? body : JSON.stringify(body));
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
console.log(JSON.stringify({ issuer }));
