// A line between two servers of a test, in a process that is neither: it passes HTTP requests on,
// and on command loses a request before it arrives, loses the reply after the work is done, or
// keeps that reply back for good.

import { createServer, request as open } from 'node:http';
import { buffer } from 'node:stream/consumers';

export class Line {
  losses = [];
  lost = [];

  static async start({ to }) {
    const line = new Line();
    line.to = to;
    line.server = createServer((request, response) => line.pass(request, response).catch(() => request.destroy()));
    await new Promise((listening) => line.server.listen(0, '127.0.0.1', listening));
    line.url = `http://127.0.0.1:${line.server.address().port}`;
    return line;
  }

  // Applies to the next request of this method whose path ends so.
  lose({ method, ending, what }) {
    this.losses.push({ method, ending, what });
  }

  async pass(request, response) {
    const body = await buffer(request);
    const loss = this.lossOf(request);
    const reply = loss?.what === 'request' ? null : await this.forward(request, body);
    if (loss) this.lost.push(loss);
    if (loss?.what === 'held') return;
    if (loss) request.destroy();
    else response.writeHead(reply.status, reply.headers).end(reply.body);
  }

  lossOf({ method, url }) {
    const found = this.losses.findIndex((loss) => loss.method === method && url.endsWith(loss.ending));
    return found < 0 ? null : this.losses.splice(found, 1)[0];
  }

  forward({ method, url, headers }, body) {
    return new Promise((answered, failed) => {
      const onward = open(this.to + url, { method, headers }, (reply) => {
        const { statusCode: status, headers } = reply;
        buffer(reply).then((body) => answered({ status, headers, body }), failed);
      });
      onward.on('error', failed).end(body);
    });
  }
}
