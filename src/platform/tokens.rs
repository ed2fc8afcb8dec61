//! Tokens that requests of a session are sent with, ready-made in this node's memory: looked up
//! without waiting while there is a good one, fetched once at a time for each session, and renewed
//! beside the traffic before they end.
//!
//! A session is known by its key in the store. Nothing is kept of a session that is not in use.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use crate::clock::{SharedClock, Timestamp};
use crate::telemetry::with_causes;

/// More sessions than this have no token in memory; a token takes about a thousand octets.
const MOST: u64 = 50_000;

/// How long the token of a session is kept that nobody uses.
const UNUSED: Duration = Duration::from_mins(15);

/// How long "no" is believed, and how long whoever could not answer is left alone.
const REFUSED_FOR: Duration = Duration::from_secs(5);
const DOWN_FOR: Duration = Duration::from_secs(1);

/// How long whoever could not answer is left alone while there is a token that is still good.
const REST: Duration = Duration::from_secs(10);

/// A token that was made no longer ago is as good as a new one.
const JUST_NOW: Duration = Duration::from_secs(5);

/// What is known of a token besides what it opens.
pub struct Token {
    /// It.
    pub value: SecretString,
    /// How long it is good for, from the moment it was given.
    pub life: Duration,
}

/// A token in hand, as a field value.
pub struct HeldToken {
    bearer: HeaderValue,
    value: SecretString,
    life: Duration,
    made_at: Timestamp,
}

impl std::fmt::Debug for HeldToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldToken")
            .field("life", &self.life)
            .field("made_at", &self.made_at)
            .finish_non_exhaustive()
    }
}

impl HeldToken {
    fn of(token: Token, now: Timestamp) -> Option<Self> {
        let bearer = SecretString::from(format!("Bearer {}", token.value.expose_secret()));
        let mut bearer = HeaderValue::from_str(bearer.expose_secret()).ok()?;
        bearer.set_sensitive(true);
        Some(Self {
            bearer,
            value: token.value,
            life: token.life,
            made_at: now,
        })
    }

    /// `Bearer …` (RFC 6750, section 2.1).
    pub fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }

    /// The token itself.
    pub fn value(&self) -> &SecretString {
        &self.value
    }

    /// How long it was good for when it was made.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// Whether it can be sent: not in its last tenth, so that it does not end on its way.
    fn is_good(&self, now: Timestamp) -> bool {
        self.is_younger(now, self.life.mul_f32(0.9))
    }

    /// Whether it is time for another one.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.is_younger(now, self.life / 2)
    }

    fn is_younger(&self, now: Timestamp, span: Duration) -> bool {
        now >= self.made_at && now.since(self.made_at) < span
    }
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// Whoever makes tokens makes none for this user.
    #[error("no token is made for this user")]
    Refused,
    /// Whoever makes tokens does not answer.
    #[error("whoever makes the token does not answer")]
    Down,
}

/// How young a token has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Good for this request.
    Good,
    /// With more than half of its life before it.
    Lasting,
    /// Made just now, because somebody counts its life from now on.
    New,
}

#[derive(Debug, Clone)]
enum Standing {
    Held(Arc<HeldToken>),
    Without { why: NoToken, until: Timestamp },
}

/// The token of one session.
#[derive(Debug, Default)]
struct Place {
    standing: ArcSwapOption<Standing>,
    /// Locked while one is fetched.
    fetching: Mutex<()>,
    /// Until when nobody asks for another, though it is time: milliseconds.
    rests_until: AtomicI64,
}

impl Place {
    fn rests(&self, now: Timestamp) -> bool {
        now.millis() < self.rests_until.load(Relaxed)
    }

    /// Whether somebody should ask for another: it is time, nobody is at it, and the last one who
    /// was went away with something.
    fn is_due(&self, held: &HeldToken, now: Timestamp) -> bool {
        held.is_due(now) && !self.rests(now) && self.fetching.try_lock().is_ok()
    }
}

/// The tokens of the sessions in use.
pub struct HeldTokens {
    places: Cache<String, Arc<Place>>,
    clock: SharedClock,
}

impl std::fmt::Debug for HeldTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldTokens(…)")
    }
}

impl HeldTokens {
    /// None yet.
    pub fn new(clock: SharedClock) -> Self {
        let places = Cache::builder().max_capacity(MOST).time_to_idle(UNUSED);
        Self {
            places: places.build(),
            clock,
        }
    }

    /// A token that can be sent, if there is one; never waits. With it, whether it is time for
    /// another.
    pub fn ready(&self, session: &str) -> Option<(Arc<HeldToken>, bool)> {
        let place = self.places.get(session)?;
        let now = self.clock.now();
        match place.standing.load().as_deref() {
            Some(Standing::Held(held)) if held.is_good(now) => {
                Some((Arc::clone(held), place.is_due(held, now)))
            }
            _ => None,
        }
    }

    /// A token as young as wanted: the one in hand, or what `ask` gives. One is asked for at a time;
    /// whoever waited meanwhile takes what came, also when that is nothing.
    pub async fn fetch<Asking, E>(
        &self,
        session: &str,
        wanted: Wanted,
        ask: impl FnOnce() -> Asking + Send,
    ) -> Result<Arc<HeldToken>, NoToken>
    where
        Asking: Future<Output = Result<Option<Token>, E>> + Send,
        E: std::error::Error + 'static,
    {
        let place = self.places.get_with_by_ref(session, Arc::default);
        let _turn = place.fetching.lock().await;
        if let Some(known) = self.known(&place, wanted) {
            return known;
        }
        if wanted == Wanted::Lasting && place.rests(self.clock.now()) {
            return Err(NoToken::Down);
        }
        let answer = ask().await;
        let now = self.clock.now();
        let held = match answer {
            Ok(Some(token)) => HeldToken::of(token, now).ok_or(NoToken::Refused),
            Ok(None) => Err(NoToken::Refused),
            Err(error) => {
                let error = with_causes(&error);
                tracing::warn!(error, "a token could not be fetched");
                Err(NoToken::Down)
            }
        };
        let held = held.map(Arc::new);
        self.keep(&place, &held, now);
        held
    }

    /// What is in hand, if it will do.
    fn known(&self, place: &Place, wanted: Wanted) -> Option<Result<Arc<HeldToken>, NoToken>> {
        let now = self.clock.now();
        match place.standing.load().as_deref()? {
            Standing::Held(held) => {
                let will_do = match wanted {
                    Wanted::Good => held.is_good(now),
                    Wanted::Lasting => !held.is_due(now),
                    Wanted::New => held.is_younger(now, JUST_NOW),
                };
                will_do.then(|| Ok(Arc::clone(held)))
            }
            Standing::Without { why, until } => (now < *until).then_some(Err(*why)),
        }
    }

    /// A token in hand is not given up because another one could not be fetched.
    fn keep(&self, place: &Place, held: &Result<Arc<HeldToken>, NoToken>, now: Timestamp) {
        let standing = match held {
            Ok(held) => Standing::Held(Arc::clone(held)),
            Err(NoToken::Down) if self.known(place, Wanted::Good).is_some() => {
                place.rests_until.store(now.plus(REST).millis(), Relaxed);
                return;
            }
            Err(why) => Standing::Without {
                why: *why,
                until: now.plus(match why {
                    NoToken::Refused => REFUSED_FOR,
                    NoToken::Down => DOWN_FOR,
                }),
            },
        };
        place.standing.store(Some(Arc::new(standing)));
    }

    /// Gives a token up that was refused where it was sent, unless there is another one meanwhile.
    pub fn give_up(&self, session: &str, refused: &HeldToken) {
        let Some(place) = self.places.get(session) else {
            return;
        };
        let known = place.standing.load_full();
        let is_it = matches!(known.as_deref(), Some(Standing::Held(held))
            if held.made_at == refused.made_at && held.bearer == refused.bearer);
        if is_it {
            place.standing.compare_and_swap(&known, None);
        }
    }

    /// Forgets a session, and gives the token that it had.
    pub fn take(&self, session: &str) -> Option<Arc<HeldToken>> {
        let place = self.places.remove(session)?;
        match place.standing.swap(None).as_deref() {
            Some(Standing::Held(held)) => Some(Arc::clone(held)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::clock::FrozenClock;
    use crate::platform::PlatformError;

    const LIFE: Duration = Duration::from_secs(1000);

    struct Mint {
        tokens: Arc<HeldTokens>,
        clock: Arc<FrozenClock>,
        asked: Arc<AtomicUsize>,
    }

    impl Mint {
        fn new() -> Self {
            let clock = Arc::new(FrozenClock::at(Timestamp::from_millis(1_800_000_000_000)));
            Self {
                tokens: Arc::new(HeldTokens::new(clock.clone())),
                clock,
                asked: Arc::default(),
            }
        }

        async fn fetch(&self, wanted: Wanted) -> Result<Arc<HeldToken>, NoToken> {
            let asked = Arc::clone(&self.asked);
            let ask = || async move {
                tokio::task::yield_now().await;
                let number = asked.fetch_add(1, Ordering::SeqCst);
                Ok::<_, PlatformError>(Some(Token {
                    value: format!("token-{number}").into(),
                    life: LIFE,
                }))
            };
            self.tokens.fetch("s", wanted, ask).await
        }

        async fn fails(&self, wanted: Wanted, answer: Result<(), PlatformError>) -> NoToken {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let ask = || async move { answer.map(|()| None) };
            self.tokens.fetch("s", wanted, ask).await.unwrap_err()
        }

        fn ready(&self) -> Option<String> {
            let (held, _) = self.tokens.ready("s")?;
            Some(held.bearer().to_str().unwrap().to_owned())
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn one_is_fetched_at_a_time_and_kept() {
        let mint = Mint::new();
        assert_eq!(mint.ready(), None);
        let (one, other) = tokio::join!(mint.fetch(Wanted::Good), mint.fetch(Wanted::Good));
        assert_eq!(one.unwrap().bearer(), other.unwrap().bearer());
        assert_eq!(mint.ready().as_deref(), Some("Bearer token-0"));
        assert_eq!(mint.asked(), 1);
        assert!(mint.tokens.ready("another").is_none());
    }

    #[tokio::test]
    async fn it_is_due_at_half_its_life_and_not_sent_at_its_end() {
        let mint = Mint::new();
        mint.fetch(Wanted::Good).await.unwrap();
        mint.clock.advance(Duration::from_secs(499));
        assert!(!mint.tokens.ready("s").unwrap().1);
        mint.clock.advance(Duration::from_secs(1));
        assert!(mint.tokens.ready("s").unwrap().1);
        mint.fetch(Wanted::Good).await.unwrap();
        assert_eq!(mint.asked(), 1, "it is good still");
        mint.fetch(Wanted::Lasting).await.unwrap();
        assert_eq!(mint.ready().as_deref(), Some("Bearer token-1"));
        mint.clock.advance(Duration::from_mins(15));
        assert_eq!(mint.ready(), None);
    }

    #[tokio::test]
    async fn a_new_one_is_new_and_not_made_for_every_question() {
        let mint = Mint::new();
        mint.fetch(Wanted::Good).await.unwrap();
        mint.fetch(Wanted::New).await.unwrap();
        assert_eq!(mint.asked(), 1);
        mint.clock.advance(JUST_NOW);
        mint.fetch(Wanted::New).await.unwrap();
        assert_eq!(mint.asked(), 2);
    }

    #[tokio::test]
    async fn no_is_believed_for_a_moment_and_ends_what_there_was() {
        let mint = Mint::new();
        mint.fetch(Wanted::Good).await.unwrap();
        mint.clock.advance(JUST_NOW);
        assert_eq!(mint.fails(Wanted::New, Ok(())).await, NoToken::Refused);
        assert_eq!(mint.ready(), None);
        assert_eq!(
            mint.fetch(Wanted::Good).await.unwrap_err(),
            NoToken::Refused
        );
        mint.clock.advance(REFUSED_FOR);
        assert!(mint.fetch(Wanted::Good).await.is_ok());
    }

    #[tokio::test]
    async fn while_nobody_answers_the_one_in_hand_is_sent() {
        let mint = Mint::new();
        let down = || Err(PlatformError::Busy { retry_after: None });
        assert_eq!(mint.fails(Wanted::Good, down()).await, NoToken::Down);
        assert_eq!(mint.fetch(Wanted::Good).await.unwrap_err(), NoToken::Down);
        mint.clock.advance(DOWN_FOR);
        mint.fetch(Wanted::Good).await.unwrap();
        mint.clock.advance(LIFE / 2);
        assert!(mint.tokens.ready("s").unwrap().1);
        assert_eq!(mint.fails(Wanted::Lasting, down()).await, NoToken::Down);
        assert!(mint.ready().is_some());
        assert!(!mint.tokens.ready("s").unwrap().1, "left alone for a while");
        let asked = mint.asked();
        assert_eq!(
            mint.fetch(Wanted::Lasting).await.unwrap_err(),
            NoToken::Down
        );
        assert_eq!(mint.asked(), asked, "whoever waited does not ask either");
        mint.clock.advance(REST);
        assert!(mint.tokens.ready("s").unwrap().1);
    }

    #[tokio::test]
    async fn while_one_is_fetched_nobody_else_is_told_that_it_is_time() {
        let mint = Mint::new();
        mint.fetch(Wanted::Good).await.unwrap();
        mint.clock.advance(LIFE / 2);
        let place = mint.tokens.places.get("s").unwrap();
        let _turn = place.fetching.lock().await;
        assert!(!mint.tokens.ready("s").unwrap().1);
    }

    #[tokio::test]
    async fn what_was_refused_elsewhere_is_given_up_once() {
        let mint = Mint::new();
        let first = mint.fetch(Wanted::Good).await.unwrap();
        mint.tokens.give_up("s", &first);
        assert_eq!(mint.ready(), None);
        mint.fetch(Wanted::Good).await.unwrap();
        mint.tokens.give_up("s", &first);
        assert_eq!(mint.ready().as_deref(), Some("Bearer token-1"));
        assert!(mint.tokens.take("s").is_some());
        assert_eq!(mint.ready(), None);
    }

    #[tokio::test]
    async fn it_is_never_printed() {
        let mint = Mint::new();
        let held = mint.fetch(Wanted::Good).await.unwrap();
        let printed = format!("{held:?} {:?} {:?}", held.bearer(), mint.tokens);
        assert!(!printed.contains("token-0"), "{printed}");
    }
}
