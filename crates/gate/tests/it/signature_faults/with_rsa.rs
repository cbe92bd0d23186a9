//! RSA: RFC 8017, with the padding of PKCS #1 version 1.5 and with PSS.

use super::*;

/// Bytes of the RSA key's modulus.
const RSA_BYTES: usize = 256;

#[test]
fn an_rsa_signature_is_a_number_below_the_modulus_in_all_its_bytes() {
    let keys = keys();
    let n = decode(Key::Rsa.jwk()["n"].as_str().unwrap());
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = Key::Rsa.sign_as(algorithm, &claims(NOON));
        let (text, right) = token.rsplit_once('.').unwrap();
        let right = decode(right);
        assert!(passes(&keys, text, &right), "{algorithm}");
        let zero = vec![0; RSA_BYTES];
        let one = plus(&zero, &[1], RSA_BYTES);
        for wrong in [
            zero.clone(),
            one.clone(),
            minus(&n, &one),
            n.clone(),
            plus(&n, &one, RSA_BYTES),
            vec![0xff; RSA_BYTES],
            minus(&n, &right),
            plus(&right, &n, RSA_BYTES),
            plus(&right, &n, RSA_BYTES + 1),
            [&[0], &right[..]].concat(),
            [&right[..], &[0]].concat(),
            [&zero[..], &right].concat(),
            right[1..].to_vec(),
            right[..RSA_BYTES - 1].to_vec(),
            right.iter().rev().copied().collect(),
            vec![0],
            vec![],
        ] {
            assert!(!passes(&keys, text, &wrong), "{algorithm}: {wrong:02x?}");
        }
    }
}

#[test]
fn an_rsa_signature_that_begins_with_zero_keeps_it() {
    let keys = keys();
    // Counting from zero finds these first, but takes long.
    for (algorithm, first) in [("RS256", 341), ("PS256", 11)] {
        let (text, right) = (first..)
            .map(|count| Key::Rsa.sign_as(algorithm, &with("count", json!(count))))
            .map(|token| {
                (token[..token.rfind('.').unwrap()].to_owned(), decode(token.rsplit('.').next().unwrap()))
            })
            .find(|(_, signature)| signature[0] == 0)
            .unwrap();
        assert!(passes(&keys, &text, &right), "{algorithm}");
        assert!(!passes(&keys, &text, without_zeros(&right)), "{algorithm}");
    }
}

/// What is before the hash in a DigestInfo (RFC 8017, section 9.2, note 1).
const SHA1_INFO: &str = "3021300906052b0e03021a05000414";
const SHA256_INFO: &str = "3031300d060960864801650304020105000420";
const SHA384_INFO: &str = "3041300d060960864801650304020205000430";
const SHA512_INFO: &str = "3051300d060960864801650304020305000440";

/// An encoded message (RFC 8017, section 9.2) with this instead of a DigestInfo.
fn padded(info: &[u8]) -> Vec<u8> {
    [&[0, 1], &vec![0xff; RSA_BYTES - 3 - info.len()][..], &[0], info].concat()
}

#[test]
fn an_rsa_padding_is_compared_and_not_parsed() {
    let (keys, text) = (keys(), text("RS256", &claims(NOON)));
    let hash = Sha256::digest(text.as_bytes()).to_vec();
    let info = |head: &str| [hex(head), hash.clone()].concat();
    let right = info(SHA256_INFO);
    assert!(passes(&keys, &text, &rsa_signature(&padded(&right))));

    let changed = |at: usize, byte: u8| {
        let mut message = padded(&right);
        message[at] = byte;
        message
    };
    let short = |filler: usize, tail: Vec<u8>| {
        let message = [&[0, 1], &vec![0xff; filler][..], &[0], &right, &tail].concat();
        [message, vec![0; RSA_BYTES]].concat()[..RSA_BYTES].to_vec()
    };
    let hash_start = RSA_BYTES - hash.len();
    let wrong = [
        ("a first byte of 1", changed(0, 1)),
        ("block type 0", changed(1, 0)),
        ("block type 2", changed(1, 2)),
        ("a filler that is not ff at its begin", changed(2, 0xfe)),
        ("a filler that is not ff at its end", changed(RSA_BYTES - right.len() - 2, 0)),
        ("no zero after the filler", changed(RSA_BYTES - right.len() - 1, 0xff)),
        ("a hash with another first byte", changed(hash_start, hash[0] ^ 1)),
        ("a hash with another last byte", changed(RSA_BYTES - 1, hash[31] ^ 1)),
        ("8 bytes of filler and zeros at the end", short(8, vec![])),
        ("no filler and zeros at the end", short(0, vec![])),
        ("a byte at the end", short(RSA_BYTES - 4 - right.len(), vec![7])),
        ("NULL at the end", short(RSA_BYTES - 5 - right.len(), vec![5, 0])),
        ("the hash alone", padded(&hash)),
        ("nothing", padded(&[])),
        ("no hash", padded(&hex(SHA256_INFO))),
        ("the hash in an OCTET STRING", padded(&[&[4, 0x20], &hash[..]].concat())),
        ("no parameters", padded(&info("302f300b06096086480165030402010420"))),
        ("parameters that are no NULL", padded(&info("3031300d060960864801650304020104000420"))),
        ("a NULL with content", padded(&info("3032300e06096086480165030402010501000420"))),
        ("a long form of the length", padded(&info("308131300d060960864801650304020105000420"))),
        ("a longer form of the length", padded(&info("30820031300d060960864801650304020105000420"))),
        ("a long form of the hash's length", padded(&info("3032300d06096086480165030402010500048120"))),
        (
            "an indefinite length",
            padded(&[info("3080300d060960864801650304020105000420"), vec![0, 0]].concat()),
        ),
        (
            "something within the SEQUENCE",
            padded(&[info("3033300d060960864801650304020105000420"), vec![5, 0]].concat()),
        ),
        ("a SEQUENCE within one", padded(&info("30333031300d060960864801650304020105000420"))),
        ("the name of SHA-1", padded(&info("3029300906052b0e03021a05000420"))),
        ("the name of SHA-384", padded(&info("3031300d060960864801650304020205000420"))),
        ("the name of SHA-512", padded(&info("3031300d060960864801650304020305000420"))),
        ("SHA-1's DigestInfo with a part of the hash", padded(&info(SHA1_INFO)[..35])),
        ("SHA-384", padded(&[hex(SHA384_INFO), Sha384::digest(text.as_bytes()).to_vec()].concat())),
        ("SHA-512", padded(&[hex(SHA512_INFO), Sha512::digest(text.as_bytes()).to_vec()].concat())),
        (
            "SHA-512 with the name of SHA-256",
            padded(
                &[hex("3051300d060960864801650304020105000440"), Sha512::digest(text.as_bytes()).to_vec()]
                    .concat(),
            ),
        ),
        ("the hash of a hash", padded(&[hex(SHA256_INFO), Sha256::digest(&hash).to_vec()].concat())),
    ];
    for (name, message) in wrong {
        assert!(!passes(&keys, &text, &rsa_signature(&message)), "{name}");
    }
}

/// MGF1 (RFC 8017, appendix B.2.1).
fn mask<D: Digest>(seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|count| D::digest([seed, &count.to_be_bytes()].concat()).to_vec());
    blocks.take(length).collect()
}

/// How an encoded message of PSS (RFC 8017, section 9.1) differs from a right one.
#[derive(Clone, Default)]
struct Pss {
    salt: Vec<u8>,
    /// Before the hash of the text, eight zeros at first.
    prefix: [u8; 8],
    filler: Option<u8>,
    separator: Option<u8>,
    trailer: Option<u8>,
    /// Its first bit, which there is no room for.
    first_bit: bool,
    hash_changed: bool,
}

impl Pss {
    /// The message with these hashes: of the text and the salt, and of the mask.
    fn encode<D: Digest, M: Digest>(&self, text: &str) -> Vec<u8> {
        let inner = [&self.prefix[..], &D::digest(text.as_bytes()), &self.salt].concat();
        let mut hash = D::digest(inner).to_vec();
        let data_length = RSA_BYTES - hash.len() - 1;
        let mut filler = vec![0; data_length - 1 - self.salt.len()];
        if let (Some(byte), Some(last)) = (self.filler, filler.last_mut()) {
            *last = byte;
        }
        let data = [&filler[..], &[self.separator.unwrap_or(1)], &self.salt].concat();
        let mut masked: Vec<_> = data.iter().zip(mask::<M>(&hash, data_length)).map(|(a, b)| a ^ b).collect();
        masked[0] &= 0x7f;
        if self.first_bit {
            masked[0] |= 0x80;
        }
        hash[0] ^= u8::from(self.hash_changed);
        [masked, hash, vec![self.trailer.unwrap_or(0xbc)]].concat()
    }
}

#[test]
fn a_pss_padding_has_a_salt_as_long_as_the_hash_and_everything_else_in_its_place() {
    let (keys, text) = (keys(), text("PS256", &claims(NOON)));
    let passes = |message: &[u8]| passes(&keys, &text, &rsa_signature(message));
    let right = Pss { salt: vec![7; 32], ..Pss::default() };
    for salt in [vec![7; 32], vec![0; 32], vec![0xff; 32]] {
        assert!(passes(&Pss { salt, ..Pss::default() }.encode::<Sha256, Sha256>(&text)));
    }
    for length in (0..=222)
        .filter(|length| *length != 32 && (*length < 3 || *length % 4 == 0 || *length > 219))
        .chain([31, 33])
    {
        let salted = Pss { salt: vec![7; length], ..Pss::default() };
        assert!(!passes(&salted.encode::<Sha256, Sha256>(&text)), "{length}");
    }
    for (name, pss) in [
        ("a filler that is not zero", Pss { filler: Some(1), ..right.clone() }),
        ("another separator", Pss { separator: Some(0), ..right.clone() }),
        ("another separator", Pss { separator: Some(0x81), ..right.clone() }),
        ("another trailer", Pss { trailer: Some(0xcc), ..right.clone() }),
        ("another trailer", Pss { trailer: Some(0), ..right.clone() }),
        ("another prefix", Pss { prefix: [0, 0, 0, 0, 0, 0, 0, 1], ..right.clone() }),
        ("another hash", Pss { hash_changed: true, ..right.clone() }),
    ] {
        assert!(!passes(&pss.encode::<Sha256, Sha256>(&text)), "{name}");
    }
    for text in ["", "another text"] {
        assert!(!passes(&right.encode::<Sha256, Sha256>(text)), "{text}");
    }
    assert!(!passes(&right.encode::<Sha256, Sha512>(&text)), "another hash for the mask");
    assert!(!passes(&right.encode::<Sha512, Sha256>(&text)), "another hash");
    assert!(!passes(&right.encode::<Sha384, Sha384>(&text)), "another hash for both");
    // With the bit set it is mostly beyond the modulus, so a salt is looked for where it is not.
    let n = decode(Key::Rsa.jwk()["n"].as_str().unwrap());
    let high = (0..=u8::MAX)
        .map(|salt| {
            Pss { salt: vec![salt; 32], first_bit: true, ..Pss::default() }.encode::<Sha256, Sha256>(&text)
        })
        .find(|message| *message < n)
        .unwrap();
    assert!(!passes(&high), "a first bit that is set");
}
