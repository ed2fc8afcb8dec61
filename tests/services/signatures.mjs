// Checks signatures of webhooks with another implementation than ours.

import { Webhook } from 'standardwebhooks';

export function isRight({ secret, headers, body }) {
  try {
    new Webhook(secret).verify(body, headers);
    return { right: true };
  } catch {
    return { right: false };
  }
}
