//! Ids of any form as uuids: one that is a uuid stays, any other becomes the same uuid every time, made from its table and itself
//! (version 5 of RFC 9562), so that whatever refers to it finds it and a second transfer makes no doubles.

/// The namespace of all ids that are made here.
const NAMESPACE: [u8; 16] =
    [0x73, 0x65, 0x78, 0x74, 0x6f, 0x6e, 0x40, 0x00, 0x80, 0x00, 0x69, 0x64, 0x73, 0x00, 0x00, 0x01];

/// The uuid of an id of this table.
pub fn uuid(table: &str, id: &str) -> [u8; 16] {
    super::profile::uuid(id).unwrap_or_else(|| named(&NAMESPACE, &format!("{table}:{id}")))
}

fn named(namespace: &[u8; 16], name: &str) -> [u8; 16] {
    let mut bytes = namespace.to_vec();
    bytes.extend_from_slice(name.as_bytes());
    let digest = sha1(&bytes);
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&digest[..16]);
    uuid[6] = uuid[6] & 0x0f | 0x50;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// What version 5 is made with; it protects nothing.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, four) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes(four.try_into().unwrap_or_default());
        }
        for n in 16..80 {
            words[n] = (words[n - 3] ^ words[n - 8] ^ words[n - 14] ^ words[n - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (n, word) in words.iter().enumerate() {
            let (mixed, key) = match n / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next =
                a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(key).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (four, word) in digest.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::{named, uuid};
    use targets::db::civil;

    #[test]
    fn ids_become_the_uuids_that_everybody_would_make() {
        // W-090
        let dns = super::super::profile::uuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8").unwrap();
        assert_eq!(civil::uuid(&named(&dns, "python.org")), "886313e1-3b8a-5372-9b90-0c9aee199e5d");
        let kept = "6f1e1c1c-0000-4000-8000-000000000001";
        assert_eq!(civil::uuid(&uuid("agents", kept)), kept);
        assert_ne!(uuid("agents", "1"), uuid("tasks", "1"));
        assert_eq!(uuid("agents", &"x".repeat(100)), uuid("agents", &"x".repeat(100)));
    }
}
