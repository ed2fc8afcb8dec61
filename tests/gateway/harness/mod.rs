//! What the tests are written with: neighbours of the gateway that are real servers, and a browser.
//! Everything listens on loopback, lives in a temporary folder, and ends with the test process.

#![expect(
    dead_code,
    unused_imports,
    reason = "a harness offers more than each test uses"
)]

mod balancer;
mod browser;
mod cable;
mod captcha_vendor;
mod certificates;
mod child;
mod collector;
mod cookie_jar;
pub mod frames;
mod front;
mod gateway;
mod gateway_files;
mod http2_upstream;
mod http2_visitor;
mod line;
mod login_wire;
mod mailbox;
mod node_services;
pub mod office;
mod oidc_provider;
mod page;
mod platform_records;
mod postgres;
mod raw;
mod redis;
mod redis_group;
mod relying_party;
pub mod rest_platform;
pub mod scim;
mod scripted_provider;
mod signatures;
pub mod thingsboard;
mod upstream;

pub use browser::{Browser, SECOND_HOST};
pub use cable::Cable;
pub use captcha_vendor::{CaptchaVendor, Mood, SITE_KEY, VENDOR_SECRET, Ways};
pub use certificates::{OwnCertificate, certificate_for};
pub use child::{free_port, signal, wait_until_async};
pub use collector::{Collector, ToldSpan};
pub use front::{Front, FrontSettings, SignedIn, read_answer, read_to_end, status};
pub use gateway::{GatewayBuilder, Node, OPERATOR_TOKEN, TestGateway};
pub use http2_upstream::{Call, Http2Upstream};
pub use http2_visitor::Http2Visitor;
pub use line::{Line, Loss};
pub use login_wire::{Looks, Step, Wire, with_parameter};
pub use mailbox::{Letter, Mailbox};
pub use node_services::wire_client;
pub use oidc_provider::{OidcProvider, PROGRAM_SECRET};
pub use page::Page;
pub use postgres::{Postgres, waits_for_locks};
pub use raw::{RawAnswer, RawConnection, send_raw};
pub use redis::{Redis, store_at};
pub use redis_group::{RedisCluster, WatchedRedis};
pub use relying_party::RelyingParty;
pub use scripted_provider::{Endpoint, IdToken, Instead, ScriptedProvider, Signing};
pub use signatures::{read_assertion, signature_is_right};
pub use upstream::{Answer, Received, Upstream};

/// Makes two tests of a function that takes a set-up: over SQLite, and over PostgreSQL and Redis.
macro_rules! on_both_set_ups {
    ($journey:ident) => {
        mod $journey {
            #[tokio::test]
            async fn embedded() {
                super::$journey(crate::harness::TestGateway::embedded()).await;
            }

            #[tokio::test]
            async fn distributed() {
                super::$journey(crate::harness::TestGateway::distributed()).await;
            }
        }
    };
}
pub(crate) use on_both_set_ups;
