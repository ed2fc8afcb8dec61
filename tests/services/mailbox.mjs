// A mail server that keeps what it is sent: SMTP by smtp-server, parsed by mailparser.

import { SMTPServer } from 'smtp-server';
import { simpleParser } from 'mailparser';

export class Mailbox {
  letters = [];
  // What it says to a letter: `take`, `defer` (451), `refuse` (550), or `stall`, which takes it and says nothing.
  manner = 'take';

  // With `key` and `cert` (PEM) it offers STARTTLS; with `user` and `password` it asks for them.
  static async start({ key, cert, user, password }) {
    const mailbox = new Mailbox();
    mailbox.options = {
      authOptional: !user,
      disabledCommands: key ? [] : ['STARTTLS'],
      allowInsecureAuth: true,
      key,
      cert,
      onAuth: (auth, _session, done) =>
        auth.username === user && auth.password === password
          ? done(null, { user })
          : done(new Error('Authentication failed')),
      onData: (stream, session, done) => mailbox.receive(stream, session, done).catch(done),
    };
    await mailbox.listen(0);
    return mailbox;
  }

  async listen(port) {
    this.server = new SMTPServer(this.options);
    this.server.on('error', () => {});
    await new Promise((listening) => this.server.listen(port, '127.0.0.1', listening));
    this.port = this.server.server.address().port;
  }

  async stop() {
    await new Promise((closed) => this.server.close(closed));
  }

  async resume() {
    await this.listen(this.port);
  }

  async receive(stream, session, done) {
    const mail = await simpleParser(stream);
    const manner = this.manner;
    if (manner === 'defer' || manner === 'refuse') {
      const no = new Error(manner === 'defer' ? 'Try again later' : 'No such mailbox');
      no.responseCode = manner === 'defer' ? 451 : 550;
      done(no);
      return;
    }
    this.letters.push({
      id: mail.messageId ?? '',
      secure: session.secure,
      to: session.envelope.rcptTo.map((recipient) => recipient.address),
      from: mail.from?.text ?? '',
      subject: mail.subject ?? '',
      text: mail.text ?? '',
      html: mail.html || '',
    });
    if (manner !== 'stall') done();
  }
}
