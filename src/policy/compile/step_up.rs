//! The `step_up` of a rule to [`StepUp`].

use crate::operator_file::{At, Findings};
use crate::policy::StepUp;
use crate::policy::document::{AccessWord, StepUpShape};

/// The most classes, and the longest one: all of them travel to the identity provider, and in a
/// cookie.
const MOST: usize = 10;
const LONGEST: usize = 100;

pub(super) fn compile(
    shape: Option<&At<StepUpShape>>,
    access: AccessWord,
    findings: &mut Findings<'_>,
) -> Option<StepUp> {
    let shape = shape?;
    if access == AccessWord::Public {
        let message = "`step_up` is for those who are signed in, and this rule is public";
        findings.error(&shape.span, message, "write `access = \"login\"`");
    }
    let StepUpShape { acr, max_age } = &shape.value;
    if acr.is_none() && max_age.is_none() {
        let message = "`step_up` says nothing";
        findings.error(&shape.span, message, "give it `acr`, `max_age`, or both");
    }
    if let Some(acr) = acr {
        let is_class = |word: &String| {
            !word.is_empty()
                && word.len() <= LONGEST
                && word.bytes().all(|octet| octet.is_ascii_graphic())
                && !word.contains(['"', '\\'])
        };
        if acr.is_empty() || acr.len() > MOST || !acr.iter().all(is_class) {
            let message = "this is no authentication context class, or no short list of them";
            let advice = "write what the identity provider calls it, without spaces and quotes";
            findings.error(&acr.span, message, advice);
        }
    }
    Some(StepUp {
        acr: acr.as_ref().map(|acr| acr.to_vec()).unwrap_or_default(),
        max_age: findings.take_optional(max_age.as_ref()),
    })
}
