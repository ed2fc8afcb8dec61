//! `kill -9` after the letters of somebody who asks to join went out. Needs the feature
//! `fault-points`.

use std::time::Duration;

use super::harness::{GatewayBuilder, Letter, on_both_set_ups};
use super::interrupted_provisioning::{DEEP_LINK, FAULT};
use super::joining::{Scene, asks, link_in};

on_both_set_ups!(a_node_that_dies_after_asking_asks_again_and_one_answer_counts);

async fn a_node_that_dies_after_asking_asks_again_and_one_answer_counts(
    set_up: GatewayBuilder<'_>,
) {
    let ask = "[[sso.known_customer]]\nclaim = \"organization_code\"\nthen = \"ask_to_join\"\n";
    let set_up = set_up.environment(FAULT, "approval.asked");
    let mut scene = Scene::with(set_up, ask).await;
    scene.company().await;
    scene.kwame().await;
    let page = scene.arrives("kwame").await;
    // The gateway may be gone before it answers.
    let _ = tokio::spawn(asks(page)).await;
    scene.gateway.node(0).ends().await;
    scene.gateway.node(0).unset(FAULT);
    scene.gateway.restart().await;
    let again = scene.arrives("kwame").await;
    let again = again.shows("We have asked Harbour Lights");
    // Each letter has a link of its own; whichever is used, it is one request.
    for _ in 0..100 {
        if scene.letters_to("amara@harbour.example").await.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let letters = scene.letters_to("amara@harbour.example").await;
    let links: Vec<_> = letters.iter().map(link_in).collect();
    assert_eq!(links.len(), 2, "one of before the crash, one of after it");
    let page = scene.gateway.browser().open(&links[0]).await;
    page.press("Approve").await.shows("Approved");
    let page = scene.gateway.browser().open(&links[1]).await;
    page.shows("answered");
    again.waits_until_on(DEEP_LINK).await;
    assert_eq!(scene.gateway.count("builtin_users").await, 2);
}

impl Scene {
    async fn letters_to(&self, address: &str) -> Vec<Letter> {
        let mut letters = self.mailbox.letters().await;
        letters.retain(|letter| letter.to.iter().any(|to| to == address));
        letters
    }
}
