//! In front of a ThingsBoard: what the gateway answers in its place, when its pages are signed in
//! first, and which token its API gets.
//!
//! Its pages keep tokens in the browser and renew them by themselves. They are given access tokens
//! of the session's user and never a refresh token: what they ask for at `/api/auth/token` the
//! gateway answers, for as long as the session lives. Whatever a browser sends as its token, the API
//! gets the session's.

use std::sync::Arc;

use http::{Method, header};
use pingora_http::RequestHeader;
use serde_json::Value;

use super::answer::{Answer, Problem};
use super::context::{Outcome, RequestContext};
use super::gateway::{Gateway, Next};
use super::settings::{ClosedWays, HandoffSettings};
use super::site::Site;
use crate::access::{Caller, RequestFacts, RequestKind, ReturnTo};
use crate::paths;
use crate::platform::UserTokens;
use crate::platform::tokens::{HeldToken, NoToken, Wanted};
use crate::policy::{HandOff, Rule};
use crate::session::OpenSession;
use crate::session::cookie::{self, HANDED_COOKIE};

/// Where its API is; everything else is its pages and what they load.
const API: &str = "/api/";

/// Its login page, which nobody needs who has a session.
const LOGIN_PAGE: &str = "/login";

/// Its numbers for errors (`ThingsboardErrorCode`): by the first its pages renew their token, and
/// ask to log in where they get none.
mod code {
    pub(super) const EXPIRED: u16 = 11;
    pub(super) const FORBIDDEN: u16 = 20;
    pub(super) const TOO_MANY: u16 = 33;
    pub(super) const GENERAL: u16 = 2;
}

/// What the gateway answers in ThingsBoard's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Which ways in its login page shows.
    Ways,
    /// A new token for its pages.
    Token,
    /// They sign out.
    Logout,
    /// One of its own ways in that is closed.
    Closed,
}

impl Part {
    fn of(method: &Method, path: &str, closed: ClosedWays) -> Option<Self> {
        match path {
            "/api/noauth/oauth2Clients" => return Some(Self::Ways),
            "/api/auth/token" => return Some(Self::Token),
            "/api/auth/logout" if *method == Method::POST => return Some(Self::Logout),
            _ => {}
        }
        let is_closed = is_below(path, &TOKEN_PAIRS)
            || (closed.login && is_below(path, &LOGINS))
            || (closed.sign_up && is_below(path, &SIGN_UPS))
            || (closed.passwords && is_below(path, &PASSWORDS));
        is_closed.then_some(Self::Closed)
    }

    /// The page of ours that answers; none where it is refused.
    fn page(self) -> Option<&'static str> {
        match self {
            Self::Ways => Some(paths::HAND_OFF_WAYS),
            Self::Token => Some(paths::HAND_OFF_TOKEN),
            Self::Logout => Some(paths::HAND_OFF_LOGOUT),
            Self::Closed => None,
        }
    }
}

/// By these its mobile app gets a refresh token, which nobody has who comes through the gateway.
const TOKEN_PAIRS: [&str; 3] = [
    "/api/noauth/qr",
    "/api/mobile/qr/deepLink",
    "/api/mobile/deepLink",
];

const LOGINS: [&str; 4] = [
    "/api/auth/login",
    "/oauth2/authorization",
    "/login/oauth2",
    "/api/noauth/login",
];

const SIGN_UPS: [&str; 5] = [
    "/api/noauth/signup",
    "/api/noauth/resendEmailActivation",
    "/api/noauth/activateEmail",
    "/api/noauth/activateByEmailCode",
    "/api/noauth/acceptInvitation",
];

const PASSWORDS: [&str; 4] = [
    "/api/noauth/activate",
    "/api/noauth/resetPassword",
    "/api/noauth/resetPasswordByEmail",
    "/api/auth/changePassword",
];

fn is_below(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        path.strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// What becomes of a request that ThingsBoard itself is not asked, in a sentence.
pub fn kept_from_thingsboard(
    settings: &HandoffSettings,
    (rule, facts): (&Rule, &RequestFacts),
) -> Option<&'static str> {
    let closed = settings
        .thingsboard
        .filter(|_| rule.hands_off(HandOff::ThingsBoard))?;
    let part = Part::of(&facts.method, facts.path.as_str(), closed)?;
    Some(match part {
        Part::Closed => "403: this way in of ThingsBoard's is closed",
        Part::Ways | Part::Token | Part::Logout => "the gateway answers in ThingsBoard's place",
    })
}

impl Site {
    /// The answer to what ThingsBoard itself is not asked; none for everything else.
    pub(super) async fn in_its_place(
        &self,
        request: &RequestHeader,
        (facts, rule): (&RequestFacts, &Rule),
        ctx: &mut RequestContext,
    ) -> Option<Result<Next, Problem>> {
        let closed = ctx.upstream.as_ref()?.handoff().thingsboard()?;
        if !rule.hands_off(HandOff::ThingsBoard) {
            return None;
        }
        let path = facts.path.as_str();
        ctx.speaks_thingsboard = path.starts_with(API);
        let part = Part::of(&facts.method, path, closed)?;
        Some(match part.page() {
            Some(page) => self.page(request, (facts, page), ctx).await,
            None => Err(Problem::Forbidden),
        })
    }
}

impl Gateway {
    /// Has what is forwarded to ThingsBoard carry the user's token: its pages are signed in first,
    /// its API gets one in the head.
    pub(super) async fn with_its_token(
        &self,
        request: &RequestHeader,
        (site, facts): (&Site, &RequestFacts),
        ctx: &mut RequestContext,
    ) -> Result<Next, Problem> {
        let (Some(tokens), Some(who)) = (&site.user_tokens, whose_token(ctx)) else {
            return Ok(Next::Forward);
        };
        if facts.path.as_str().starts_with(API) {
            let held = self.its_token(tokens, &who.clone(), ctx).await?;
            ctx.user_token = Some(held);
        } else if let Some(session) = who.session()
            && let Some(place) = to_be_signed_in(request, facts, session)
        {
            ctx.outcome = Outcome::Page;
            return Ok(Next::Answer(Answer::hand_off(&place)));
        }
        Ok(Next::Forward)
    }

    async fn its_token(
        &self,
        tokens: &Arc<UserTokens>,
        who: &Caller,
        ctx: &RequestContext,
    ) -> Result<Arc<HeldToken>, Problem> {
        if let Some((held, is_due)) = tokens.ready(who.key()) {
            if is_due {
                let fetching = fetch(tokens, who, Wanted::Lasting);
                self.fetching.start(fetching);
            }
            return Ok(held);
        }
        let fetching = fetch(tokens, who, Wanted::Good);
        match self.fetching.run(ctx.network(), fetching).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(NoToken::Refused)) => {
                tracing::info!(reference = %ctx.reference, "ThingsBoard does not let the user in");
                Err(Problem::AccountClosed)
            }
            Ok(Err(NoToken::Down)) => Err(Problem::UpstreamDown),
            Err(_) => Err(Problem::Busy),
        }
    }

    /// The upstream did not take a token: the next request has another.
    pub(super) fn token_was_refused(&self, ctx: &RequestContext) {
        let who = ctx.permit.as_ref().and_then(|permit| permit.who());
        let site = ctx.host.as_ref().and_then(|host| self.site(host).ok());
        let (Some(site), Some(who)) = (site, who) else {
            return;
        };
        if let (Some(tokens), Some(held), Some(session)) =
            (&site.access_tokens, &ctx.access_token, who.session())
        {
            tokens.give_up(session, held);
        }
        if let (Some(tokens), Some(held)) = (&site.user_tokens, &ctx.user_token) {
            tokens.give_up(who.key(), held);
        }
    }
}

/// Whose token a request is to carry; none where it carries none.
fn whose_token(ctx: &RequestContext) -> Option<&Caller> {
    ctx.upstream.as_ref()?.handoff().thingsboard()?;
    let permit = ctx.permit.as_ref()?;
    let is_wanted = permit.rule().hands_off(HandOff::ThingsBoard);
    permit
        .who()
        .filter(|who| is_wanted && who.account().is_some())
}

fn fetch(
    tokens: &Arc<UserTokens>,
    who: &Caller,
    wanted: Wanted,
) -> impl Future<Output = Result<Arc<HeldToken>, NoToken>> + Send + 'static {
    let (tokens, who) = (Arc::clone(tokens), who.clone());
    async move {
        let account = who.account().ok_or(NoToken::Refused)?;
        tokens.fetch(who.key(), account, wanted).await
    }
}

/// Where a page leads whose browser has no token of this session yet; none where it has one.
fn to_be_signed_in(
    request: &RequestHeader,
    facts: &RequestFacts,
    who: &OpenSession,
) -> Option<ReturnTo> {
    if facts.kind != RequestKind::Page {
        return None;
    }
    if facts.path.as_str() == LOGIN_PAGE {
        return Some(ReturnTo::home());
    }
    let mark = cookie::find(request.headers.get_all(header::COOKIE), HANDED_COOKIE);
    let has_it = mark.is_some_and(|mark| mark == cookie::handed_mark(&who.key));
    (!has_it).then(|| ReturnTo::from_request(facts))
}

/// Says a problem so that ThingsBoard's pages understand it as well.
pub(super) fn in_its_words(answer: &mut Answer, problem: &Problem) {
    let Ok(Value::Object(mut details)) = serde_json::from_str(&answer.body) else {
        return;
    };
    let number = match answer.status.as_u16() {
        // A new token would not help.
        401 if matches!(problem, Problem::StepUpRequired(_)) => code::FORBIDDEN,
        401 => code::EXPIRED,
        403 => code::FORBIDDEN,
        429 => code::TOO_MANY,
        _ => code::GENERAL,
    };
    details.insert("errorCode".to_owned(), number.into());
    details.insert("message".to_owned(), problem.sentence().into());
    answer.body = Value::Object(details).to_string();
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ClosedWays = ClosedWays {
        login: true,
        sign_up: true,
        passwords: true,
    };

    fn part(method: &str, path: &str, closed: ClosedWays) -> Option<Part> {
        Part::of(&method.parse().unwrap(), path, closed)
    }

    #[test]
    fn its_pages_are_answered_in_its_place() {
        for (method, path, expected) in [
            ("POST", "/api/noauth/oauth2Clients", Part::Ways),
            ("GET", "/api/noauth/oauth2Clients", Part::Ways),
            ("POST", "/api/auth/token", Part::Token),
            ("POST", "/api/auth/logout", Part::Logout),
        ] {
            assert_eq!(part(method, path, ALL), Some(expected), "{path}");
        }
    }

    #[test]
    fn its_own_ways_in_are_closed_one_by_one() {
        let open = ClosedWays {
            login: false,
            sign_up: false,
            passwords: false,
        };
        let login = ClosedWays {
            login: true,
            ..open
        };
        for (path, is_login) in [
            ("/api/auth/login", true),
            ("/api/auth/login/public", true),
            ("/oauth2/authorization/google", true),
            ("/login/oauth2/code/google", true),
            ("/api/noauth/signup", false),
            ("/api/noauth/resetPasswordByEmail", false),
            ("/api/noauth/activate", false),
        ] {
            assert_eq!(part("POST", path, ALL), Some(Part::Closed), "{path}");
            assert_eq!(part("GET", path, ALL), Some(Part::Closed), "{path}");
            let closed = part("POST", path, login);
            assert_eq!(closed.is_some(), is_login, "{path}");
            assert_eq!(part("POST", path, open), None, "{path}");
        }
    }

    #[test]
    fn nobody_gets_a_refresh_token_whatever_is_open() {
        let open = ClosedWays {
            login: false,
            sign_up: false,
            passwords: false,
        };
        for path in [
            "/api/noauth/qr/secret",
            "/api/mobile/qr/deepLink",
            "/api/mobile/deepLink",
        ] {
            assert_eq!(part("GET", path, open), Some(Part::Closed), "{path}");
        }
    }

    #[test]
    fn everything_else_is_thingsboards() {
        for path in [
            "/",
            "/login",
            "/api/auth/user",
            "/api/auth/loginx",
            "/api/noauth/userPasswordPolicy",
            "/api/noauth/whiteLabel/loginWhiteLabelParams",
            "/api/v1/token/telemetry",
            "/api/ws",
        ] {
            assert_eq!(part("POST", path, ALL), None, "{path}");
        }
        assert_eq!(part("GET", "/api/auth/logout", ALL), None);
    }
}
