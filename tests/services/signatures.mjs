// Checks signatures, of webhooks and of assertions, with other implementations than ours.

import { createLocalJWKSet, jwtVerify } from 'jose';
import { Webhook } from 'standardwebhooks';

export function isRight({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(body, headers);
    return { right: true };
  } catch {
    return { right: false };
  }
}

// What an upstream reads in an assertion, as docs/hand-off.md tells it to; nothing if it is wrong.
export async function believed({ token, keySet, issuer, audience }) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keySet), { issuer, audience });
    return { claims: payload, header: protectedHeader };
  } catch (error) {
    return { refused: error.code };
  }
}
