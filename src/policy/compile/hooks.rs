//! `[hooks]` of `onboarding.toml` to [`HookPolicy`].

use std::time::Duration;

use crate::operator_file::Findings;
use crate::policy::document::{HookShape, WhenDown};
use crate::policy::hooks::HookPolicy;

const LONGEST: Duration = Duration::from_secs(10);
const MOST_RETRIES: u8 = 3;

pub fn compile(shape: &HookShape, findings: &mut Findings<'_>) -> HookPolicy {
    let HookShape {
        start,
        submit,
        timeout,
        retries,
        when_down,
    } = shape;
    let shipped = HookPolicy::default();
    let taken = findings.take_optional(timeout.as_ref());
    if let (Some(written), Some(taken)) = (timeout, taken)
        && (taken > LONGEST || taken.is_zero())
    {
        let message = "somebody waits while the hook is asked";
        findings.error(&written.span, message, "write `10s` or less");
    }
    if let Some(retries) = retries
        && retries.value > MOST_RETRIES
    {
        let message = "somebody waits while the hook is asked again";
        findings.error(&retries.span, message, "write 3 or less");
    }
    if let (Some(true), Some(submit)) = (start, submit)
        && !submit.value
    {
        let message = "whoever sends the form without having asked for it is not blocked";
        let advice = "leave `submit` out: what is blocked at the start is asked about again then";
        findings.error(&submit.span, message, advice);
    }
    HookPolicy {
        at_start: start.unwrap_or(shipped.at_start),
        at_submit: submit.as_ref().map_or(shipped.at_submit, |at| at.value),
        timeout: taken.unwrap_or(shipped.timeout),
        retries: retries.as_ref().map_or(shipped.retries, |at| at.value),
        allows_when_down: *when_down == Some(WhenDown::Allow),
    }
}
