// A mail server that keeps what it is sent: SMTP by smtp-server, parsed by mailparser.

import { SMTPServer } from 'smtp-server';
import { simpleParser } from 'mailparser';

export class Mailbox {
  letters = [];

  static async start() {
    const mailbox = new Mailbox();
    mailbox.server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth: (auth, _session, done) => done(null, { user: auth.username }),
      onData: (stream, session, done) => mailbox.receive(stream, session).then(() => done(), done),
    });
    await new Promise((listening) => mailbox.server.listen(0, '127.0.0.1', listening));
    mailbox.port = mailbox.server.server.address().port;
    return mailbox;
  }

  async receive(stream, session) {
    const mail = await simpleParser(stream);
    this.letters.push({
      to: session.envelope.rcptTo.map((recipient) => recipient.address),
      from: mail.from?.text ?? '',
      subject: mail.subject ?? '',
      text: mail.text ?? '',
      html: mail.html || '',
    });
  }
}
