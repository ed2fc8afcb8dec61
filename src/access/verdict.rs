//! What was decided.

use std::sync::Arc;

use super::{Caller, RequestFacts, ReturnTo};
use crate::expression::EvaluationError;
use crate::policy::duties::Duty;
use crate::policy::step_up::Shortfall;
use crate::policy::{Rule, StepUp};
use crate::session::OpenSession;

/// What happens to a request; made only by [`super::decide`].
#[must_use]
#[derive(Debug)]
pub enum Verdict {
    /// It goes to the upstream; the permit is the proof.
    Forward(Permit),
    /// A person's browser is sent to the login page.
    LogIn(ReturnTo),
    /// 401 with a JSON body.
    Challenge,
    /// 401: the bearer token is not good (RFC 6750, section 3.1: `invalid_token`).
    RefuseToken,
    /// 403: the token lacks scopes of this rule (`insufficient_scope`).
    WidenScope(Arc<Rule>),
    /// Proven who, but not registered: pages go to the registration, the rest gets 403.
    Onboard(OpenSession),
    /// Signed in, but with something to do first: pages go where it is done, the rest gets 403.
    DoFirst(Duty, ReturnTo),
    /// Signed in and let in, but not in the way that the rule asks for.
    StepUp(StepUpDemand, ReturnTo),
    /// The rule's condition does not hold.
    Forbid {
        /// The rule.
        rule: String,
    },
    /// It is refused for another reason.
    Refuse(Refusal),
}

/// What a rule asks of a sign-in that lacks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepUpDemand {
    /// The rule's name.
    pub rule: String,
    /// What it asks.
    pub wanted: StepUp,
    /// What is missing.
    pub lacks: Shortfall,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The session store cannot answer: 503.
    #[error("the session store does not answer")]
    StoreDown,
    /// Whoever could say whether a token is good does not answer: 503.
    #[error("the issuer of the token does not answer")]
    IssuerDown,
    /// The token's subject has no account, and the rule wants one: 403.
    #[error("the subject of the token has no account")]
    NoAccount,
    /// The account of the token's subject is disabled or gone: 403.
    #[error("the account of the token's subject is closed")]
    AccountClosed,
    /// The path has an encoded slash that its rule does not allow: 400.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// The path has `;` that its rule does not allow: 400.
    #[error("the path has parameters")]
    PathParameters,
    /// Another spelling of the path would fall under another rule: 400.
    #[error("another spelling of the path falls under another rule")]
    AmbiguousPath,
    /// A WebSocket handshake from another origin: 403.
    #[error("the WebSocket handshake comes from another origin")]
    ForeignWebSocket,
    /// The rule's condition could not be evaluated: 403.
    #[error("the condition of rule `{rule}` cannot be evaluated")]
    RuleFailed {
        /// The rule.
        rule: String,
        /// Why.
        #[source]
        cause: EvaluationError,
    },
}

/// Proof that a request may be forwarded, and as whom. Without one there is no upstream request.
#[derive(Debug, Clone)]
pub struct Permit {
    rule: Arc<Rule>,
    target: String,
    who: Option<Caller>,
}

impl Permit {
    pub(super) fn new(rule: &Arc<Rule>, facts: &RequestFacts, who: Option<&Caller>) -> Self {
        let path = facts.path.as_str();
        let target = match &facts.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        Self {
            rule: Arc::clone(rule),
            target,
            who: who.cloned(),
        }
    }

    /// The rule that decided.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The path that was decided on, and the query: the upstream gets exactly these octets.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// As whom; nobody on public routes without a session.
    pub fn who(&self) -> Option<&Caller> {
        self.who.as_ref()
    }

    /// The session as whose user, where it is one.
    pub fn session(&self) -> Option<&OpenSession> {
        self.who.as_ref()?.session()
    }
}
