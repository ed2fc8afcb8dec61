//! What a sign-up form says besides fields, agreements and looks.

use std::collections::BTreeMap;

use super::localised;
use crate::identity::{
    AccountType, CustomerOptions, DefaultDashboard, EmailAddress, HomeDashboard, Role, UserOptions,
};
use crate::language::Language;
use crate::operator_file::{At, Findings};
use crate::policy::document::{
    AccountTypeShape, DefaultDashboardShape, HomeDashboardShape, NotifyShape, PlatformShape,
    RoleShape,
};
use crate::policy::signup_form::{AccountTypeTexts, Notified};

pub fn account_types(
    shapes: &BTreeMap<AccountType, AccountTypeShape>,
    findings: &mut Findings<'_>,
) -> BTreeMap<AccountType, AccountTypeTexts> {
    let texts = |(kind, shape): (&AccountType, &AccountTypeShape)| {
        let AccountTypeShape { label, hint } = shape;
        let texts = AccountTypeTexts {
            label: localised(label.as_ref(), findings),
            hint: localised(hint.as_ref(), findings),
        };
        (*kind, texts)
    };
    shapes.iter().map(texts).collect()
}

pub fn notified(shape: Option<&At<NotifyShape>>, findings: &mut Findings<'_>) -> Option<Notified> {
    let shape = shape?;
    let (email, language) = match &shape.value {
        NotifyShape::Email(email) => (email, "en"),
        NotifyShape::In { email, language } => (email, language.as_str()),
    };
    let read = EmailAddress::parse(email).ok();
    if read.is_none() {
        let message = format!("`{email}` is not an e-mail address");
        findings.error(&shape.span, message, "write it like `sales@acme.example`");
    }
    let spoken = Language::from_tag(language);
    if spoken.is_none() {
        let known: Vec<&str> = Language::ALL.iter().map(|known| known.tag()).collect();
        let message = format!("letters are not written in `{language}`");
        findings.error(
            &shape.span,
            message,
            format!("there are {}", known.join(", ")),
        );
    }
    Some(Notified {
        email: read?,
        language: spoken?,
    })
}

pub fn options(
    shape: &PlatformShape,
    findings: &mut Findings<'_>,
) -> (CustomerOptions, UserOptions) {
    let PlatformShape {
        customer_group,
        parent_customer,
        roles,
        default_dashboard,
        home_dashboard,
        menu,
    } = shape;
    let mut named = |text: &Option<At<String>>| {
        let text = text.as_ref()?;
        named(text, &text.value, findings);
        Some(text.value.clone())
    };
    let (group, parent, menu) = (named(customer_group), named(parent_customer), named(menu));
    let roles = roles.iter().map(|shape| role(shape, findings)).collect();
    let default_dashboard = default_dashboard.as_ref().map(|shape| {
        let DefaultDashboardShape { title, full_screen } = &shape.value;
        self::named(shape, title, findings);
        DefaultDashboard {
            title: title.clone(),
            full_screen: *full_screen,
        }
    });
    let home_dashboard = home_dashboard.as_ref().map(|shape| {
        let HomeDashboardShape {
            title,
            hide_toolbar,
        } = &shape.value;
        self::named(shape, title, findings);
        HomeDashboard {
            title: title.clone(),
            hide_toolbar: *hide_toolbar,
        }
    });
    let user = UserOptions {
        roles,
        default_dashboard,
        home_dashboard,
        menu,
    };
    (CustomerOptions { group, parent }, user)
}

fn role(shape: &At<RoleShape>, findings: &mut Findings<'_>) -> Role {
    let (name, entity_group) = match &shape.value {
        RoleShape::Name(name) => (name, None),
        RoleShape::For { name, entity_group } => (name, Some(entity_group)),
    };
    named(shape, name, findings);
    if let Some(group) = entity_group {
        named(shape, group, findings);
    }
    Role {
        name: name.clone(),
        entity_group: entity_group.cloned(),
    }
}

/// Reports an empty name.
fn named<T>(place: &At<T>, name: &str, findings: &mut Findings<'_>) {
    if name.trim().is_empty() {
        let advice = "write the name that it has in the platform, or leave it out";
        findings.error(&place.span, "the name is empty", advice);
    }
}
