//! Ties a log-in to the TLS connection that it goes through: what RFC 5929 calls `tls-server-end-point`.
//!
//! A log-in that proves which certificate it saw is of no use to somebody who sits in between and answers with a certificate
//! of his own. The only thing read of the certificate is how it was signed, because that decides the hash; nothing is
//! checked here.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// The hash of a certificate that binds a log-in to it; none where the standard names no hash for its signature.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match hash_of_signature(certificate)? {
        Hash::Sha224 => Sha224::digest(certificate).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

const SEQUENCE: u8 = 0x30;
const OBJECT: u8 = 0x06;
const FIRST_PARAMETER: u8 = 0xa0;

/// Algorithms by their object identifiers, as they stand in a certificate. MD5 and SHA-1 are too weak to bind anything:
/// the standard has SHA-256 in their place.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const HASHES: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

fn hash_of_signature(certificate: &[u8]) -> Option<Hash> {
    let (whole, _) = element(SEQUENCE, certificate)?;
    let (_, after_body) = element(SEQUENCE, whole)?;
    let (algorithm, _) = element(SEQUENCE, after_body)?;
    let (object, parameters) = element(OBJECT, algorithm)?;
    if object == ECDSA_SHA1 {
        return Some(Hash::Sha256);
    }
    match object.split_last()? {
        (4 | 5 | 11, RSA) => Some(Hash::Sha256),
        (12, RSA) => Some(Hash::Sha384),
        (13, RSA) => Some(Hash::Sha512),
        (14, RSA) => Some(Hash::Sha224),
        (10, RSA) => hash_of_parameters(parameters),
        (1, ECDSA) => Some(Hash::Sha224),
        (2, ECDSA) => Some(Hash::Sha256),
        (3, ECDSA) => Some(Hash::Sha384),
        (4, ECDSA) => Some(Hash::Sha512),
        _ => None,
    }
}

/// RSA-PSS says in its parameters which hash it uses; SHA-1 when it says nothing.
fn hash_of_parameters(parameters: &[u8]) -> Option<Hash> {
    let (parameters, _) = element(SEQUENCE, parameters)?;
    let Some((hash, _)) = element(FIRST_PARAMETER, parameters) else { return Some(Hash::Sha256) };
    let (hash, _) = element(SEQUENCE, hash)?;
    let (object, _) = element(OBJECT, hash)?;
    match object.split_last()? {
        (1, HASHES) => Some(Hash::Sha256),
        (2, HASHES) => Some(Hash::Sha384),
        (3, HASHES) => Some(Hash::Sha512),
        (4, HASHES) => Some(Hash::Sha224),
        _ => None,
    }
}

/// The content of the DER element that these bytes begin with, if it is of this sort, and what follows it.
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (*first == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = match content.len() {
            short @ 0..0x80 => vec![short as u8],
            long => vec![0x82, (long >> 8) as u8, long as u8],
        };
        [vec![tag], length, content.to_vec()].concat()
    }

    fn certificate(object: &[u8], parameters: &[u8]) -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[der(OBJECT, object), parameters.to_vec()].concat());
        der(SEQUENCE, &[der(SEQUENCE, &[7; 300]), algorithm, der(3, &[1, 2, 3])].concat())
    }

    #[test]
    fn the_hash_is_that_of_the_signature_and_never_a_weak_one() {
        let rsa = |last: u8| certificate(&[RSA, &[last]].concat(), &[5, 0]);
        let ecdsa = |last: u8| certificate(&[ECDSA, &[last]].concat(), &[]);
        for (certificate, length) in [
            (rsa(5), 32),
            (rsa(11), 32),
            (rsa(12), 48),
            (rsa(13), 64),
            (ecdsa(1), 28),
            (ecdsa(2), 32),
            (ecdsa(3), 48),
            (ecdsa(4), 64),
            (certificate(ECDSA_SHA1, &[]), 32),
        ] {
            assert_eq!(end_point(&certificate).map(|hash| hash.len()), Some(length));
        }
    }

    #[test]
    fn a_signature_that_names_its_hash_in_its_parameters_is_understood() {
        let pss = |parameters: &[u8]| certificate(&[RSA, &[10]].concat(), &der(SEQUENCE, parameters));
        let hash = |last: u8| der(0xa0, &der(SEQUENCE, &der(OBJECT, &[HASHES, &[last]].concat())));
        assert_eq!(end_point(&pss(&hash(2))).map(|hash| hash.len()), Some(48));
        assert_eq!(end_point(&pss(&[])).map(|hash| hash.len()), Some(32));
        assert_eq!(end_point(&pss(&hash(9))), None);
    }

    #[test]
    fn what_is_no_certificate_or_names_no_hash_binds_nothing() {
        let ed25519 = certificate(&[0x2b, 0x65, 0x70], &[]);
        assert_eq!(end_point(&ed25519), None);
        let whole = certificate(&[RSA, &[11]].concat(), &[5, 0]);
        for end in 0..320 {
            assert_eq!(end_point(&whole[..end]), None, "{end}");
        }
    }
}
