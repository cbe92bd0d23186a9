//! Signatures and keys that are written in ASN.1, as those of P-256 that are not JOSE's are.

/// The two numbers of a signature of P-256, one after the other, from their ASN.1 (RFC 3279, 2.2.3): as JWS has it.
pub fn raw_signature(mut der: &[u8]) -> Option<Vec<u8>> {
    const NUMBER_BYTES: usize = 32;
    let mut numbers = element(&mut der, 0x30).filter(|_| der.is_empty())?;
    let mut raw = Vec::with_capacity(2 * NUMBER_BYTES);
    for _ in 0..2 {
        let number = element(&mut numbers, 0x02)?;
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        raw.resize(raw.len() + NUMBER_BYTES.checked_sub(number.len())?, 0);
        raw.extend(number);
    }
    numbers.is_empty().then_some(raw)
}

/// The content of the element of this type at the beginning.
fn element<'a>(bytes: &mut &'a [u8], kind: u8) -> Option<&'a [u8]> {
    let ([own, length @ ..0x80], rest) = bytes.split_first_chunk::<2>()? else { return None };
    let (content, rest) = rest.split_at_checked((*length).into()).filter(|_| *own == kind)?;
    *bytes = rest;
    Some(content)
}

/// Before the point of a public key of P-256 in a SubjectPublicKeyInfo (RFC 5480, section 2): all of it is fixed.
const SPKI_OF_P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// The coordinates of a public key of P-256 in a SubjectPublicKeyInfo; `None` for anything else.
pub fn p256_coordinates(spki: &[u8]) -> Option<[&[u8]; 2]> {
    let point = spki.strip_prefix(&SPKI_OF_P256).filter(|point| point.len() == 64)?;
    let (x, y) = point.split_at(32);
    Some([x, y])
}
