// An OpenID provider by oidc-provider. A person logs in at its form with the login name that the test
// gave them and any password; consent is given by itself. Whoever has a second factor shows it where
// `acr_values` asks for `mfa`; everybody else signs in by password (`pwd`).

import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider, interactionPolicy } from 'oidc-provider';

const PROFILE = [
  'name', 'given_name', 'family_name', 'nickname', 'preferred_username', 'locale', 'zoneinfo', 'updated_at',
  'groups', 'roles', 'department', 'organization_code', 'company', 'vat_number', 'country',
];

async function signingKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), use: 'sig', alg, kid: crypto.randomUUID() };
}

// The first signs ID tokens, the second access tokens for APIs.
const signingKeys = () => Promise.all([signingKey('RS256'), signingKey('ES256')]);

// Tokens for an API whose name has `opaque` in it are opaque, those for others are signed (RFC 9068).
const api = (audience, life) => ({
  audience,
  scope: 'read write admin',
  accessTokenFormat: audience.includes('opaque') ? 'opaque' : 'jwt',
  accessTokenTTL: life,
  jwt: { sign: { alg: 'ES256' } },
});

export class Issuer {
  clients = [];
  people = new Map();
  secondFactors = new Set();
  revoked = 0;

  static async start({
    conform_id_token_claims: conform = true, end_session: endSession = true, access_token_life: life = 3600, port = 0,
  }) {
    const issuer = new Issuer();
    issuer.life = life;
    issuer.conform = conform;
    issuer.endSession = endSession;
    issuer.keys = await signingKeys();
    issuer.cookieKeys = [crypto.randomUUID()];
    issuer.server = createServer((request, response) => issuer.provider.callback()(request, response));
    await new Promise((listening) => issuer.server.listen(port, '127.0.0.1', listening));
    issuer.port = issuer.server.address().port;
    issuer.url = `http://127.0.0.1:${issuer.port}`;
    issuer.build();
    return issuer;
  }

  addClient(client) {
    this.clients = [...this.clients.filter((known) => known.client_id !== client.client_id), client];
    this.build();
  }

  addPerson({ login, claims, second_factor: secondFactor = false }) {
    this.people.set(login, { sub: login, ...claims });
    if (secondFactor) this.secondFactors.add(login);
  }

  // The old key is gone at once, as after a compromise.
  async rotateKeys() {
    this.keys = await signingKeys();
    this.build();
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  async resume() {
    await new Promise((listening) => this.server.listen(this.port, '127.0.0.1', listening));
  }

  build() {
    this.provider = new Provider(this.url, {
      clients: this.clients,
      jwks: { keys: this.keys },
      cookies: { keys: this.cookieKeys },
      conformIdTokenClaims: this.conform,
      features: {
        rpInitiatedLogout: { enabled: this.endSession },
        revocation: { enabled: true },
        clientCredentials: { enabled: true },
        introspection: { enabled: true, allowedPolicy: () => true },
        resourceIndicators: { enabled: true, getResourceServerInfo: (_, resource) => api(resource, this.life) },
      },
      scopes: ['openid', 'offline_access', 'profile', 'email', 'phone', 'address'],
      claims: {
        openid: ['sub'],
        profile: PROFILE,
        email: ['email', 'email_verified'],
        phone: ['phone_number', 'phone_number_verified'],
        address: ['address'],
      },
      pkce: { required: () => true },
      acrValues: ['pwd', 'mfa'],
      interactions: { policy: this.policy() },
      // A refresh token counts once; used again, it ends its grant with all tokens.
      rotateRefreshToken: true,
      issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
      findAccount: (_, login) => this.account(login),
      loadExistingGrant: (context) => consent(context),
      // Its guard against requests to loopback would stop back-channel logout to a gateway under test.
      fetch: (url, options) => {
        delete options.dispatcher;
        return fetch(url, options);
      },
      ttl: {
        Session: 3600, Interaction: 600, Grant: 3600, AccessToken: this.life, IdToken: 3600, RefreshToken: 3600,
      },
    });
    const finish = this.provider.interactionFinished.bind(this.provider);
    this.provider.interactionFinished = async (request, response, result, options) => {
      const { params } = await this.provider.interactionDetails(request, response);
      if (result.login) result.login.acr = this.classOf(result.login.accountId, params);
      return finish(request, response, result, options);
    };
    this.provider.use(async (context, next) => {
      await next();
      if (context.path === '/token/revocation' && context.status === 200) this.revoked += 1;
    });
  }

  // An access token of a person's, as some client of theirs has it.
  async accessToken({ login, client_id: clientId, audience, scope, life = this.life }) {
    const { AccessToken, Client, Grant, ResourceServer } = this.provider;
    const grant = new Grant({ clientId, accountId: login });
    grant.addResourceScope(audience, scope);
    const token = new AccessToken({
      accountId: login,
      client: await Client.find(clientId),
      grantId: await grant.save(),
      gty: 'authorization_code',
      scope,
      expiresIn: life,
    });
    token.resourceServer = new ResourceServer(audience, api(audience, life));
    return { token: await token.save() };
  }

  async revoke({ token }) {
    await (await this.provider.AccessToken.find(token)).destroy();
  }

  // Whoever has a second factor and did not show it yet is asked for it.
  policy() {
    const policy = interactionPolicy.base();
    const check = new interactionPolicy.Check('second_factor', 'A second factor is wanted', ({ oidc }) => {
      const { accountId: login, acr } = oidc.session;
      const lacks = acr !== 'mfa' && this.classOf(login, oidc.params) === 'mfa';
      return lacks && !oidc.result?.login;
    });
    policy.get('login').checks.add(check);
    return policy;
  }

  classOf(login, { acr_values: wanted = '' }) {
    return wanted.split(' ').includes('mfa') && this.secondFactors.has(login) ? 'mfa' : 'pwd';
  }

  account(login) {
    const claims = this.people.get(login);
    return claims && { accountId: login, claims: async () => claims };
  }
}

async function consent({ oidc }) {
  const { Grant } = oidc.provider;
  // A grant ends with its refresh token, and the session at the provider goes on.
  const known = oidc.session.grantIdFor(oidc.client.clientId);
  const grant = (known && (await Grant.find(known)))
    ?? new Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope('openid offline_access profile email phone address');
  await grant.save();
  return grant;
}
