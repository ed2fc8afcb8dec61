//! Signatures of calls to the operator's endpoints, as Standard Webhooks has them
//! (<https://www.standardwebhooks.com>): `v1`, HMAC-SHA-256 over id, time and body.

use http::HeaderValue;
use http::header::HeaderName;
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::clock::Timestamp;
use crate::seal;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The shortest key, octets.
const SHORTEST: usize = 24;

/// The key of both sides.
#[derive(Debug, Clone)]
pub struct HookSecret(SecretSlice<u8>);

impl HookSecret {
    /// Reads `whsec_` and base64, or base64 alone, of 24 octets at least.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        let key = seal::from_padded_base64(encoded)?;
        (key.len() >= SHORTEST).then(|| Self(SecretSlice::from(key)))
    }

    /// Id, time and signature, for the header of a call.
    pub(super) fn sign(
        &self,
        id: &str,
        at: Timestamp,
        body: &[u8],
    ) -> [(HeaderName, Option<HeaderValue>); 3] {
        let seconds = at.seconds().to_string();
        let mut signed = format!("{id}.{seconds}.").into_bytes();
        signed.extend_from_slice(body);
        let digest = seal::hmac_sha256(self.0.expose_secret(), &signed);
        let signature = format!("v1,{}", seal::to_padded_base64(&digest));
        let value = |text: &str| HeaderValue::from_str(text).ok();
        [
            (ID, value(id)),
            (TIMESTAMP, value(&seconds)),
            (SIGNATURE, value(&signature)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn signs_as_the_specification_does() {
        let secret = HookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let at = Timestamp::from_millis(1_614_265_330_000);
        let body = br#"{"test": 2432232314}"#;
        let [_, (_, time), (_, signature)] = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body);
        assert_eq!(time.unwrap(), "1614265330");
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_short_or_unreadable_secret_is_none() {
        for text in ["", "whsec_", "whsec_c2hvcnQ=", "not base64!", "changeme"] {
            assert!(HookSecret::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let secret = HookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert!(!format!("{secret:?}").contains("49"));
    }
}
