//! A request's place in its task, and the end of streams whose session or token ended.
//!
//! A WebSocket or a long download outlives the decision that let it pass. While a request of a
//! signed-in user or a program is under way its session or token is looked at every other second,
//! and the stream is closed once that is over. The same look finds requests that are too slow (`pace.rs`).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use super::bearer::on;
use super::connection::Connection;
use super::gateway::Gateway;
use super::pace::{Late, Pace, Span};
use super::patience::Patience;
use super::settings::HostSettings;
use crate::access::{ApiClient, BearerStanding, Caller, ClientAccount, Permit};
use crate::clock::Timestamp;
use crate::session::SessionStanding;

/// How often the session or token of a request under way is looked at: often enough that, with the second
/// that news of an end may take, streams are closed within five.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a request that is late may take to be answered so. On HTTP/2 that works only while
/// the client's body comes: the proxy library waits there for nothing that could be woken.
const FAREWELL: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// The request that the current task works on.
    static CURRENT: Arc<RequestScope>;
}

/// What belongs to one request but not to the proxy library.
pub(super) struct RequestScope {
    connection: Arc<Connection>,
    watched: OnceLock<Watched>,
    pace: Pace,
}

/// By what a request was let pass.
struct Watched {
    proof: Proof,
    host: Arc<HostSettings>,
}

enum Proof {
    /// A session's cookie.
    Cookie(Box<str>),
    /// A bearer token.
    Token(Arc<ApiClient>),
}

impl RequestScope {
    /// Carries a request out; gives up (and thereby closes the stream) when the session or
    /// token ends by which it was let pass, and when it is late.
    ///
    /// `next_look` is the connection's own, so that a request does not set a timer.
    pub(super) async fn around<F: Future>(
        connection: &Arc<Connection>,
        gateway: &Gateway,
        next_look: &mut Patience,
        work: F,
    ) -> Option<F::Output> {
        let now = Instant::now();
        next_look.move_to(now + LOOK_EVERY);
        let scope = Arc::new(Self {
            connection: Arc::clone(connection),
            watched: OnceLock::new(),
            pace: Pace::from(now),
        });
        let watch = Arc::clone(&scope);
        CURRENT
            .scope(scope, async move {
                tokio::select! {
                    biased;
                    output = work => Some(output),
                    () = watch.is_over(gateway, next_look) => None,
                }
            })
            .await
    }

    /// The request that the current task works on.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Arc::clone).ok()
    }

    /// Whether the request that the current task works on is too slow.
    pub(super) fn is_late() -> bool {
        CURRENT
            .try_with(|scope| scope.pace.late().is_some())
            .unwrap_or(false)
    }

    /// How its body comes in.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// What is known of the connection.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// From here on the request stands and falls with the session or the token that let it pass.
    pub(super) fn depends_on(
        &self,
        permit: &Permit,
        cookie: Option<&str>,
        host: &Arc<HostSettings>,
    ) {
        let proof = match (permit.who(), cookie) {
            (Some(Caller::Session(_)), Some(cookie)) => Proof::Cookie(cookie.into()),
            (Some(Caller::Client(client)), _) => Proof::Token(Arc::clone(client)),
            _ => return,
        };
        let host = Arc::clone(host);
        // A request is decided once; a second call has nothing to add.
        let _ = self.watched.set(Watched { proof, host });
    }

    async fn is_over(&self, gateway: &Gateway, next_look: &mut Patience) {
        let mut span = Span::default();
        loop {
            next_look.end().await;
            let now = Instant::now();
            next_look.move_to(now + LOOK_EVERY);
            if let Some(watched) = self.watched.get()
                && watched.is_over(gateway).await
            {
                return gateway.stream_was_cut();
            }
            if let Some(late) = self.pace.look(now, &mut span) {
                return give_time_to_say(late).await;
            }
        }
    }
}

/// Has the request look again, this time at being late, and answer.
async fn give_time_to_say(late: Late) {
    tracing::info!(?late, "gave up a request that was too slow");
    tokio::task::yield_now().await;
    tokio::time::sleep(FAREWELL).await;
}

impl Watched {
    async fn is_over(&self, gateway: &Gateway) -> bool {
        // It was let in once; the network's caps are for those who are not yet.
        match &self.proof {
            Proof::Cookie(cookie) => {
                let standing = gateway.standing(Some(cookie), &self.host, None).await;
                match standing {
                    SessionStanding::Live(_)
                    | SessionStanding::NeedsRefresh(_)
                    | SessionStanding::StoreDown => false,
                    SessionStanding::Absent
                    | SessionStanding::Pending(_)
                    | SessionStanding::Expired
                    | SessionStanding::Unreadable => true,
                }
            }
            Proof::Token(before) => match gateway.site(&self.host) {
                Ok(site) => {
                    let standing = on(&self.host, gateway.still(site, before).await);
                    has_lost(before, standing, gateway.clock.now())
                }
                Err(_) => false,
            },
        }
    }
}

/// Whether a program is not any more who it was. While nobody can tell, its token's end still counts.
fn has_lost(before: &ApiClient, standing: BearerStanding, now: Timestamp) -> bool {
    match standing {
        BearerStanding::Good(client) => match &client.account {
            ClientAccount::Live(account) => {
                before.account().is_some_and(|own| own.user != account.user)
            }
            ClientAccount::None => before.account().is_some(),
            ClientAccount::Closed => true,
        },
        BearerStanding::Unknown => now >= before.ends_at,
        BearerStanding::Bad => true,
    }
}
