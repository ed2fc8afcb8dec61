//! What `vestibule demo` prints: where to go, whom to be, what to see.

use std::fmt::Write as _;
use std::path::Path;

use super::people::{EMAIL_IN_USE, EVERYBODY};
use super::seed::{PARTNER_CODE, UNLINKED_PASSWORD};

/// What the text depends on.
#[derive(Debug)]
pub struct Welcome<'a> {
    /// The gateway's origin.
    pub origin: &'a str,
    /// The folder in which letters land.
    pub mail: &'a Path,
    /// The English text of an agreement.
    pub terms: &'a Path,
    /// The page on which letters can be read.
    pub mailbox: &'a str,
    /// The address of health, metrics and the operator API.
    pub admin: &'a str,
}

impl Welcome<'_> {
    /// The text, ready to print.
    pub fn text(&self) -> String {
        let Self {
            origin,
            mail,
            terms,
            mailbox,
            admin,
        } = self;
        let (mail, terms) = (mail.display(), terms.display());
        format!(
            "\nVestibule is between you and a platform called Brightwater.\n\n  \
             Open   {origin}/things/17?tab=values#chart\n\n\
             With Lighthouse ID you will be asked whom you would like to be:\n\n{people}\n\
             To be somebody else, log out, or open a private window.\n\n  \
             New    {origin}/auth/register/email\n         \
             Registers you with any e-mail address; the letters are at {mailbox}\n  \
             Local  {email}, password {UNLINKED_PASSWORD}\n         \
             Tomáš may sign in by password, without Lighthouse ID.\n  \
             Mail   {mail}\n         Letters land here, and are announced below; read them at {mailbox}\n         \
             Be Kwame and ask to join; the letter to Amara has the link by which she decides.\n  \
             Code   {PARTNER_CODE}\n         Be Jonas, choose “Partner” and give this code: no customer is made.\n  \
             Terms  {terms}\n         Change this text: at your next page you accept it \
             again, and come back to it.\n  \
             API    curl -i {origin}/api/me\n         401 and JSON without a session, never a login page.\n  \
             Open   {origin}/status\n         A rule makes this page public.\n  \
             Admin  http://{admin}/readyz and /metrics\n\n\
             Use Chromium or Firefox: Safari refuses __Host- cookies on http://localhost.\n\
             Stop with Ctrl-C. All that was made here goes with it.\n\n",
            people = people(),
            email = EMAIL_IN_USE.email,
        )
    }
}

fn people() -> String {
    EVERYBODY.iter().fold(String::new(), |mut text, person| {
        // Writing to a string never fails.
        let _ = writeln!(
            text,
            "  {:<15} {:<26} {}",
            person.name(),
            person.role,
            person.shows
        );
        text
    })
}
