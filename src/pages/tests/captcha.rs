//! The proof of work in a form, and the time that it counts.

use std::time::Duration;

use axum::http::StatusCode;

use super::doorstep::{Guest, House, Seen};
use crate::seal;

const PAGE: &str = "/auth/register/email";

/// The sealed challenge of a page, and the number that it asks for.
fn solved(page: &Seen) -> (String, String) {
    let attribute = |selector: &str, name: &str| page.attributes(selector, name).remove(0);
    let work = |name: &str| attribute("input[data-work]", name);
    let (salt, target) = (work("data-work"), work("data-target"));
    let bound: u32 = work("data-bound").parse().unwrap();
    let is_it = |number: &u32| seal::digest(format!("{salt}:{number}").as_bytes()) == target;
    let number = (0..bound).find(is_it).unwrap().to_string();
    (attribute("input[name=captcha_token]", "value"), number)
}

async fn sends(guest: &mut Guest, (token, number): &(String, String)) -> Seen {
    let page = guest.open(PAGE).await;
    let fields = [
        ("form_token", &*page.token()),
        ("return_to", "/"),
        ("email", "giulia@bianchi.example"),
        ("captcha_token", token),
        ("captcha", number),
    ];
    guest.post(PAGE, &fields).await
}

#[tokio::test]
async fn work_counts_for_half_an_hour() {
    let house = House::with_self_registration().await;
    let mut guest = house.guest();
    let work = [guest.open(PAGE).await, guest.open(PAGE).await];
    let [in_time, late] = work.map(|page| solved(&page));
    house.clock.advance(Duration::from_mins(29));
    let page = sends(&mut guest, &in_time).await;
    assert_eq!(
        page.location(),
        "/auth/register/email?return_to=%2F&sent",
        "{}",
        page.body
    );
    house.clock.advance(Duration::from_mins(1));
    let page = sends(&mut guest, &late).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let said = page.texts("#captcha .error");
    assert!(said[0].contains("too old, or was used before"), "{said:?}");
    assert_eq!(page.attributes(".summary a", "href"), ["#captcha"]);
    let typed = page.attributes("input[name=email]", "value");
    assert_eq!(typed, ["giulia@bianchi.example"]);
    assert_ne!(solved(&page), late, "there is a new one");
}

#[tokio::test]
async fn the_problem_is_said_in_every_language() {
    let house = House::with_self_registration().await;
    for (language, words) in [
        ("en", "We could not tell that you are not a robot"),
        ("it", "Non siamo riusciti a capire che non sei un robot"),
        (
            "de",
            "Wir konnten nicht erkennen, dass Sie kein Roboter sind",
        ),
    ] {
        let mut guest = house.guest();
        language.clone_into(&mut guest.language);
        let page = sends(&mut guest, &("x".to_owned(), "1".to_owned())).await;
        let said = page.texts("#captcha-problem");
        assert!(said[0].starts_with(words), "{said:?}");
    }
}
