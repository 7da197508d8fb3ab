//! A webhook: the message as JSON (N1), signed where there is a secret.

use super::{Carrier, Letter, Refused, call};
use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use std::fmt::Write;
use std::time::Duration;

/// The header with the signature.
pub const SIGNATURE: &str = "x-sexton-signature";

/// An address.
pub struct Webhook {
    /// Where.
    pub url: SecretString,
    /// What bodies are signed with.
    pub secret: Option<SecretString>,
}

impl Carrier for Webhook {
    fn carry(&self, letter: &Letter, patience: Duration) -> Result<(), Refused> {
        let body = letter.message.body();
        let signed = self.secret.as_ref().map(|secret| signature(secret, body.as_bytes()));
        call("POST", &self.url, patience, |request| {
            let request = request
                .header("content-type", "application/json")
                .header("x-sexton-event", letter.message.event.name())
                .header("x-sexton-delivery", letter.id);
            match signed {
                Some(signed) => request.header(SIGNATURE, signed),
                None => request,
            }
            .body(body)
        })
    }
}

/// The signature of a body: `sha256=` and the HMAC in hexadecimal digits.
pub fn signature(secret: &SecretString, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // RFC 4231, test case 2
        let secret = SecretString::from("Jefe");
        assert_eq!(
            signature(&secret, b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
