//! Bech32, the spelling of age keys: letters with a checksum. Only the way that is needed: from text to bytes.

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The bytes behind `text`, whose human part must be `human`; none when it is spelled wrongly.
pub(super) fn decode(text: &str, human: &str) -> Option<Vec<u8>> {
    let lower = text.to_ascii_lowercase();
    if lower != text && text.to_ascii_uppercase() != text {
        return None;
    }
    let data = lower.strip_prefix(human)?.strip_prefix('1')?;
    let digits: Option<Vec<u8>> =
        data.bytes().map(|byte| LETTERS.iter().position(|letter| *letter == byte).map(|n| n as u8)).collect();
    let digits = digits.filter(|digits| digits.len() > 6)?;
    let mut all: Vec<u8> = human.bytes().map(|byte| byte >> 5).collect();
    all.push(0);
    all.extend(human.bytes().map(|byte| byte & 31));
    all.extend(&digits);
    if checksum(&all) != 1 {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in &digits[..digits.len() - 6] {
        bits = bits << 5 | u32::from(*digit);
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (count < 5 && bits == 0).then_some(bytes)
}

fn checksum(values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.iter().fold(1, |sum, value| {
        let top = sum >> 25;
        let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(*value);
        (0..5).filter(|n| top >> n & 1 == 1).fold(next, |sum, n| sum ^ GENERATOR[n])
    })
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_mistyped_letter_is_noticed() {
        let right = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
        assert_eq!(decode(right, "age").unwrap().len(), 32);
        assert!(decode(&right.replace("54pw", "54pv"), "age").is_none());
        assert!(decode(right, "age-secret-key-").is_none());
        assert!(decode("AGE1QL3z", "age").is_none());
    }
}
