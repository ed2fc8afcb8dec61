// What else stands in front of applications: nginx as a plain proxy, and, with somebody signed in at
// the same OpenID provider, Apache with mod_auth_openidc and oauth2-proxy. Each with what makes it
// fast, and without an access log.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SECRET } from './gateways.mjs';
import { folder, freePort, reachable, start } from './processes.mjs';
import { signIn } from './sign_in.mjs';

const APACHE_MODULES = '/usr/lib/apache2/modules';
const THREADS = 2; // as many worker processes as the others have threads

/** nginx as a proxy with connections to the upstream that are kept. */
export async function startNginx(upstream) {
  const port = await freePort();
  const config = join(folder, 'nginx-proxy.conf');
  writeFileSync(config, `
    worker_processes ${THREADS}; pid ${folder}/nginx-proxy.pid; error_log ${folder}/nginx-proxy.log; daemon off;
    events { worker_connections 4096; }
    http {
      access_log off; keepalive_requests 1000000000;
      client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
      uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
      upstream behind { server 127.0.0.1:${upstream}; keepalive 128; keepalive_requests 1000000000; }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection ""; }
      }
    }`);
  const child = start('nginx', 'nginx', '-c', config);
  await reachable(`http://127.0.0.1:${port}/`);
  return { url: `http://127.0.0.1:${port}/app`, pid: child.pid };
}

/** Apache with mod_auth_openidc, sessions in shared memory (its default); null where it is missing. */
export async function startModAuthOpenidc(upstream, provider) {
  if (!existsSync(`${APACHE_MODULES}/mod_auth_openidc.so`)) return null;
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const client = await provider.client(origin, '/oidc/callback');
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'proxy', 'proxy_http', 'auth_openidc'];
  const config = join(folder, 'apache.conf');
  writeFileSync(config, `
    ServerName localhost
    Listen 127.0.0.1:${port}
    PidFile ${folder}/apache.pid
    DefaultRuntimeDir ${folder}
    ErrorLog ${folder}/apache.log
    LogLevel error
    ${modules.map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`).join('\n')}
    ${process.getuid() === 0 ? 'User www-data\nGroup www-data' : ''}
    StartServers ${THREADS}
    ServerLimit ${THREADS}
    ThreadsPerChild 64
    MaxRequestWorkers ${THREADS * 64}
    MinSpareThreads 1
    MaxSpareThreads ${THREADS * 64}
    MaxConnectionsPerChild 0
    KeepAlive On
    MaxKeepAliveRequests 0
    KeepAliveTimeout 60
    OIDCProviderMetadataURL ${provider.issuer}/.well-known/openid-configuration
    OIDCClientID ${client}
    OIDCClientSecret "${SECRET}"
    OIDCRedirectURI ${origin}/oidc/callback
    OIDCCryptoPassphrase "${SECRET}"
    OIDCPKCEMethod S256
    OIDCScope "openid profile email"
    OIDCSessionInactivityTimeout 3600
    <Location />
      AuthType openid-connect
      Require valid-user
    </Location>
    ProxyPass / http://127.0.0.1:${upstream}/ keepalive=On`);
  const child = start('apache', 'apache2', '-DFOREGROUND', '-f', config);
  return signedIn(origin, child.pid);
}

/** oauth2-proxy, sessions in its cookie (its default); null where the program is not on the path. */
export async function startOauth2Proxy(upstream, provider) {
  const program = 'oauth2-proxy';
  if (!isOnPath(program)) return null;
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  const client = await provider.client(origin, '/oauth2/callback');
  const child = start('oauth2-proxy', program, `--http-address=127.0.0.1:${port}`,
    `--upstream=http://127.0.0.1:${upstream}/`, '--provider=oidc', `--oidc-issuer-url=${provider.issuer}`,
    `--client-id=${client}`, `--client-secret=${SECRET}`, `--redirect-url=${origin}/oauth2/callback`,
    '--scope=openid profile email', '--code-challenge-method=S256', '--cookie-secret=0123456789abcdef0123456789abcdef',
    '--cookie-secure=false', '--session-cookie-minimal=true', '--email-domain=*', '--skip-provider-button=true',
    '--request-logging=false', '--auth-logging=false', '--standard-logging=false');
  return signedIn(origin, child.pid);
}

async function signedIn(origin, pid) {
  await reachable(`${origin}/app`);
  const cookie = await signIn(`${origin}/app`, 'bench');
  return { url: `${origin}/app`, pid, headers: [`Cookie: ${cookie}`] };
}

function isOnPath(program) {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
