//! What the builtin platform of a gateway under test holds, by its REST API.

use serde_json::Value;

use super::gateway::{OPERATOR_TOKEN, TestGateway};
use super::node_services::wire_client;

impl TestGateway {
    /// The `customers`, `locations` or `users` that there are.
    pub async fn platform_records(&self, what: &str) -> Vec<Value> {
        let address = self.admin(&format!("/platform/v1/{what}"));
        let asking = wire_client().get(address).bearer_auth(OPERATOR_TOKEN);
        let answer = asking.send().await.expect("the platform answers");
        let list: Value = answer.json().await.expect("JSON");
        list["items"].as_array().expect("a list").clone()
    }

    /// How many customers, locations and users there are.
    pub async fn platform_counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (count, what) in counts.iter_mut().zip(["customers", "locations", "users"]) {
            *count = self.platform_records(what).await.len();
        }
        counts
    }

    /// Adds one of the `customers`, `locations` or `users`, as a back office does; gives its id.
    pub async fn add_to_platform(&self, what: &str, record: &Value) -> String {
        let address = self.admin(&format!("/platform/v1/{what}"));
        let asking = wire_client().post(address).bearer_auth(OPERATOR_TOKEN);
        let answer = asking.json(record).send().await.expect("an answer");
        let made: Value = answer.json().await.expect("JSON");
        made["id"].as_str().expect("it was made").to_owned()
    }
}
