//! Which captcha a form names.

use crate::operator_file::{At, Findings};
use crate::policy::compile::Surroundings;
use crate::policy::signup_form::Captcha;
use crate::spelling::closest;

const NONE: &str = "none";
const PROOF_OF_WORK: &str = "proof-of-work";

pub fn named(
    name: Option<&At<String>>,
    around: &Surroundings,
    findings: &mut Findings<'_>,
) -> Captcha {
    let Some(name) = name else {
        return Captcha::default();
    };
    match name.as_str() {
        NONE => Captcha::None,
        PROOF_OF_WORK => Captcha::ProofOfWork,
        id => {
            if let Some(known) = &around.captchas {
                check(name, known, findings);
            }
            Captcha::Of(id.to_owned())
        }
    }
}

fn check(name: &At<String>, known: &[String], findings: &mut Findings<'_>) {
    if known.contains(&name.value) {
        return;
    }
    let id = &name.value;
    let all = known.iter().map(String::as_str);
    let advice = match closest(id, all.chain([NONE, PROOF_OF_WORK])) {
        Some(known) => format!("write `{known}`"),
        None => format!(
            "add a `[[captcha]]` with `id = \"{id}\"` to vestibule.toml, or write `{PROOF_OF_WORK}`"
        ),
    };
    findings.error(&name.span, format!("there is no captcha `{id}`"), advice);
}
