//! Every page with something in it, kept as snapshots.

use super::*;
use crate::language::Language;
use crate::policy::Brand;

const CODE_MINUTES: &str = "15";

pub(super) fn frame(language: Language, title: &str) -> Frame {
    let brand = Brand {
        name: "Acme IoT".to_owned(),
        ..Brand::default()
    };
    Frame {
        texts: language.texts(),
        operator: brand.name.clone(),
        support: Some("mailto:help@acme.example".to_owned()),
        links: vec![],
        assets: AssetUrls {
            stylesheet: "/auth/assets/pages.css".to_owned(),
            script: "/auth/assets/pages.js".to_owned(),
            ..AssetUrls::of(&brand)
        },
        here: "/auth/here".to_owned(),
        title: language
            .texts()
            .get_with(
                title,
                &[
                    ("operator", "Acme IoT"),
                    ("provider", "Acme single sign-on"),
                ],
            )
            .into_owned(),
        keeps_form: None,
        has_problems: false,
    }
}

pub(super) fn who(language: Language) -> Who {
    let values = [
        ("name", "Giulia Bianchi"),
        ("provider", "Acme single sign-on"),
    ];
    Who {
        sentence: language
            .texts()
            .get_with("signed-in-as-through", &values)
            .into_owned(),
        form_token: "token".to_owned(),
    }
}

fn way(href: &str, text: &str) -> Way {
    Way {
        href: href.to_owned(),
        text: text.to_owned(),
    }
}

fn steps(language: Language, states: [StepState; 3]) -> Vec<StepView> {
    ["customer", "location", "user"]
        .into_iter()
        .zip(states)
        .map(|(step, state)| StepView {
            label: language
                .texts()
                .get(&format!("progress-step-{step}"))
                .into_owned(),
            state,
        })
        .collect()
}

#[test]
fn login() {
    for language in Language::ALL {
        let page = LoginPage {
            frame: frame(*language, "login-title"),
            notice: Some(language.texts().get("login-again").into_owned()),
            problems: vec![],
            local: None,
            create: None,
            choices: vec![
                way(
                    "/auth/login/corp?return_to=%2Fthings",
                    "Continue with Acme single sign-on",
                ),
                way(
                    "/auth/login/other?return_to=%2Fthings",
                    "Continue with Partner login",
                ),
            ],
        };
        insta::assert_snapshot!(format!("login_{}", language.tag()), page.render().unwrap());
    }
}

#[test]
fn login_by_password_with_a_mistake() {
    let texts = Language::En.texts();
    let wrong = texts.get("login-wrong").into_owned();
    let page = LoginPage {
        frame: Frame {
            has_problems: true,
            ..frame(Language::En, "login-title")
        },
        notice: None,
        problems: vec![ProblemLink {
            target: "password".to_owned(),
            sentence: wrong.clone(),
        }],
        choices: vec![way("/auth/login/corp", "Continue with Acme single sign-on")],
        local: Some(LocalLoginView {
            form_token: "token".to_owned(),
            return_to: "/things".to_owned(),
            email: "giulia@bianchi.example".to_owned(),
            email_problem: None,
            password_problem: Some(wrong),
            forgotten: Some("/auth/password".to_owned()),
        }),
        create: Some("/auth/register/email?return_to=%2Fthings".to_owned()),
    };
    insta::assert_snapshot!("login_local", page.render().unwrap());
}

#[test]
fn going() {
    let texts = Language::En.texts();
    let provider = [("provider", "Acme single sign-on")];
    let page = GoingPage {
        frame: frame(Language::En, "going-title"),
        text: texts.get("going-text").into_owned(),
        href: "/auth/login/corp?return_to=%2Fthings%3Fa%3D1&go=1".to_owned(),
        action: texts.get_with("going-continue", &provider).into_owned(),
        by_itself: true,
    };
    insta::assert_snapshot!("going", page.render().unwrap());
}

#[test]
fn progress() {
    use StepState::{Done, Running, Waiting};
    for (name, states, outcome) in [
        (
            "open",
            [Done, Running, Waiting],
            Outcome::Open { slow: true },
        ),
        (
            "failed",
            [Done, Running, Waiting],
            Outcome::Failed {
                title: "progress-failed-title",
                lead: Language::En
                    .texts()
                    .get("progress-failed-text")
                    .into_owned(),
                sentence: "progress-failed-next",
                reference: "r-7f3a".to_owned(),
                way_on: way("/auth/register", "Try again"),
            },
        ),
    ] {
        let title = if name == "open" {
            "progress-title"
        } else {
            "progress-failed-title"
        };
        let page = ProgressPage {
            frame: frame(Language::En, title),
            who: who(Language::En),
            steps: steps(Language::En, states),
            outcome,
        };
        insta::assert_snapshot!(format!("progress_{name}"), page.render().unwrap());
    }
}

#[test]
fn prove() {
    let texts = Language::En.texts();
    let wrong = texts.get("prove-code-wrong").into_owned();
    for (name, code) in [
        (
            "ask",
            CodeProof::NotSent {
                minutes: CODE_MINUTES.to_owned(),
            },
        ),
        (
            "sent",
            CodeProof::Sent {
                digits: "6".to_owned(),
                problem: Some(wrong.clone()),
            },
        ),
    ] {
        let problems = matches!(code, CodeProof::Sent { .. }).then(|| ProblemLink {
            target: "code".to_owned(),
            sentence: wrong.clone(),
        });
        let page = ProvePage {
            frame: frame(Language::En, "prove-title"),
            who: who(Language::En),
            problems: problems.into_iter().collect(),
            email: "g•••@bianchi.example".to_owned(),
            code,
            password: Some(PasswordProof {
                open: false,
                problem: None,
            }),
        };
        insta::assert_snapshot!(format!("prove_{name}"), page.render().unwrap());
    }
}

#[test]
fn messages() {
    for (name, title, text, signed_in) in [
        ("staff", "refused-staff-title", "refused-staff-text", true),
        ("error_502", "error-502-title", "error-502-text", false),
    ] {
        let texts = Language::En.texts();
        let page = MessagePage {
            frame: frame(Language::En, title),
            who: signed_in.then(|| who(Language::En)),
            paragraphs: vec![
                texts
                    .get_with(text, &[("operator", "Acme IoT")])
                    .into_owned(),
            ],
            reference: Some("0193-7f3a-44b1".to_owned()),
            way_on: Some(way("/things", &texts.get("error-try-again"))),
            other_way: None,
        };
        insta::assert_snapshot!(name, page.render().unwrap());
    }
}

#[test]
fn logout() {
    let page = LogoutPage {
        frame: frame(Language::En, "logout-title"),
        form_token: "token".to_owned(),
    };
    insta::assert_snapshot!("logout", page.render().unwrap());
}

#[test]
fn agreement_text() {
    let markdown = "# Terms of service\n\nThese terms say *what* you get.\n\n## Your part\n\n- Keep \
                    your password to yourself.\n- Tell us when something is wrong.\n";
    let page = AgreementPage {
        frame: Frame {
            title: "Terms of service".to_owned(),
            ..frame(Language::En, "login-title")
        },
        version: Way {
            href: "/auth/agreements/terms/v1".to_owned(),
            text: "Version v1".to_owned(),
        },
        in_force: None,
        language: "en".to_owned(),
        text: AgreementHtml::from_markdown(markdown),
    };
    insta::assert_snapshot!("agreement", page.render().unwrap());
}
