//! What a registration is carried on under: a lease of one process, which another takes up when
//! that is gone; and an operator's retry of what failed.

use std::time::Duration;

use vestibule::clock::Clock as _;
use vestibule::database::Node;
use vestibule::onboarding::sql::SqlRegistrationStore;
use vestibule::onboarding::{Lease, NextStep, ProgressStanding, RegistrationStore as _};
use vestibule::platform::Platform as _;
use vestibule::platform::builtin::Listing;

use crate::harness::office::{COMPANY, Office, mario, policy};
use crate::registration::back_office_customer;

fn store(office: &Office) -> SqlRegistrationStore {
    SqlRegistrationStore::new(office.database.clone())
}

#[tokio::test]
async fn a_process_takes_up_what_earlier_ones_at_its_place_left_and_nothing_else() {
    for office in Office::on_both(&policy(|_| {})).await {
        let store = store(&office);
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        let now = office.clock.now();
        let (earlier, later) = (Node::at("host:8443"), Node::at("host:8443"));
        let lease = Lease {
            owner: earlier.new_lease(),
            until: now.plus(Duration::from_secs(30)),
        };
        assert!(store.take(&id, &lease, now).await.unwrap().is_some());
        let due = async || store.due(now, 10).await.unwrap().len();
        for stranger in [&earlier, &Node::at("host:84"), &Node::at("other:8443")] {
            store.release(stranger).await.unwrap();
            assert_eq!(due().await, 0, "it is in the hands of a process that lives");
        }
        store.release(&later).await.unwrap();
        assert_eq!(due().await, 1);
        let lost = store.take(&id, &lease, now).await.unwrap();
        assert!(lost.is_some(), "whoever comes first has it");
    }
}

#[tokio::test]
async fn a_failed_registration_is_carried_on_when_an_operator_says_so() {
    for office in Office::on_both(&policy(|_| {})).await {
        let store = store(&office);
        let id = office.submit(&mario(), COMPANY).await.unwrap();
        assert!(
            !store.retry(&id, office.clock.now()).await.unwrap(),
            "it is under way"
        );
        let (_, other) = back_office_customer(&office, "mario@acme.example").await;
        office.onboarding.carry_on(&id).await.unwrap();
        let standing = async || {
            let report = office.onboarding.progress(&mario()).await.unwrap();
            report.unwrap().standing
        };
        assert!(matches!(standing().await, ProgressStanding::Failed(_)));
        let other = office.platform.user_by_email(&other.email).await.unwrap();
        let other = other.expect("it is in the way").id;
        office.platform.delete_user(&other).await.unwrap();
        assert!(store.retry(&id, office.clock.now()).await.unwrap());
        office.onboarding.carry_on(&id).await.unwrap();
        assert_eq!(standing().await, ProgressStanding::Completed);
        assert!(matches!(
            office.next_step(&mario()).await,
            NextStep::SignedIn(_)
        ));
        let all = Listing {
            after: String::new(),
            limit: 10,
        };
        assert_eq!(office.platform.users(None, &all).await.unwrap().len(), 1);
        assert!(
            !store.retry(&id, office.clock.now()).await.unwrap(),
            "it is complete"
        );
    }
}
