//! A platform in another process whose replies get lost after it did what was asked: the
//! registration completes and nothing is doubled.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use secrecy::SecretString;
use vestibule::admin::platform_api;
use vestibule::identity::PlatformId;
use vestibule::onboarding::{LinkError, LinkStep, NewPasswordError, NextStep, ProgressStanding};
use vestibule::outbound::Outbound;
use vestibule::platform::RemoteSettings;
use vestibule::platform::builtin::remote::RemoteBuiltinPlatform;

use crate::harness::office::{COMPANY, HOST, Office, mario, policy};

/// Which requests had their reply lost.
type Lost = Arc<Mutex<HashSet<String>>>;

/// Does what is asked; the first time that something is to be changed, the connection breaks
/// before the reply.
async fn lose_first_reply(State(lost): State<Lost>, request: Request, next: Next) -> Response {
    let change = (!request.method().is_safe())
        .then(|| format!("{} {}", request.method(), request.uri().path()));
    let reply = next.run(request).await;
    if change.is_some_and(|change| lost.lock().unwrap().insert(change)) {
        std::panic::resume_unwind(Box::new("the reply is lost"));
    }
    reply
}

async fn forgetful_platform(office: &Office, lost: &Lost) -> RemoteBuiltinPlatform {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = platform_api::router(Arc::clone(&office.platform));
    let router = router.layer(middleware::from_fn_with_state(
        lost.clone(),
        lose_first_reply,
    ));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = RemoteSettings {
        url: url.parse().unwrap(),
        token: SecretString::from("any"),
    };
    RemoteBuiltinPlatform::new(
        PlatformId::new("builtin"),
        settings,
        Outbound::new().unwrap(),
    )
}

#[tokio::test]
async fn lost_replies_neither_lose_nor_double_anything() {
    for mut office in Office::on_both(&policy(|_| {})).await {
        let lost = Lost::default();
        let platform = forgetful_platform(&office, &lost).await;
        office.through(Arc::new(platform), policy(|_| {}));
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        for _ in 0..4 {
            assert!(!matches!(
                office.next_step(&mario()).await,
                NextStep::SignedIn(_)
            ));
            office.onboarding.carry_on(&id).await.unwrap();
            office.clock.advance(Duration::from_mins(10));
        }
        assert_eq!(
            lost.lock().unwrap().len(),
            3,
            "the reply of every creation was lost once"
        );
        let report = office.onboarding.progress(&mario()).await.unwrap().unwrap();
        assert_eq!(report.standing, ProgressStanding::Completed);
        assert_eq!(office.counts().await, (1, 1, 1));
        assert_eq!(
            office.outbox.letters().len(),
            1,
            "it took long, so that a letter says it"
        );
    }
}

#[tokio::test]
async fn a_platform_that_is_down_is_waited_for_and_nobody_is_turned_away() {
    let mut office = Office::on_sqlite(policy(|_| {})).await;
    let id = office.submit(&mario(), COMPANY).await.unwrap();
    let settings = RemoteSettings {
        url: "http://127.0.0.1:9".parse().unwrap(),
        token: SecretString::from("any"),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nowhere = Outbound::new().unwrap();
    let nowhere = RemoteBuiltinPlatform::new(PlatformId::new("builtin"), settings, nowhere);
    let there = Arc::clone(&office.platform);
    office.through(Arc::new(nowhere), policy(|_| {}));
    office.onboarding.carry_on(&id).await.unwrap();
    let step = office
        .onboarding
        .next_step(&mario(), "app.example.com")
        .await;
    assert!(step.is_err(), "nobody knows what comes next");
    office.through(there, policy(|_| {}));
    office.onboarding.carry_on(&id).await.unwrap();
    assert_eq!(office.counts().await, (0, 0, 0), "it is not due yet");
    office.clock.advance(Duration::from_secs(1));
    office.onboarding.carry_on(&id).await.unwrap();
    assert_eq!(office.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn a_new_password_whose_reply_is_lost_is_set_by_the_same_link() {
    let by_password = || policy(|onboarding| onboarding.local_login.enabled = true);
    for mut office in Office::on_both(&by_password()).await {
        office.register(&mario()).await;
        let platform = forgetful_platform(&office, &Lost::default()).await;
        office.through(Arc::new(platform), by_password());
        let token = office.mailed_token(LinkStep::NewPassword, "mario@acme.example");
        let token = token.await;
        let password = SecretString::from("violet tractor umbrella");
        let set = || {
            office
                .onboarding
                .set_new_password((HOST, &token), &password)
        };
        let down = set().await;
        assert!(
            matches!(down, Err(NewPasswordError::Link(LinkError::Down(_)))),
            "{down:?}"
        );
        assert!(set().await.is_ok(), "the link still counts");
        let spent = set().await;
        assert!(
            matches!(spent, Err(NewPasswordError::Link(LinkError::Dead))),
            "{spent:?}"
        );
    }
}
