//! The packets of a key: RFC 4880, section 4.2 and 5, and RFC 6637 for its curves. Only what a public key is made of.

use super::Algorithm;

/// Why bytes are no packets, where there is nothing more to say about it.
const BROKEN: &str = "its packets are broken";

/// Object identifiers of curves, RFC 6637, section 11, and what programs call the curves.
const CURVES: [(&[u8], &str); 8] = [
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], "P-256"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x22], "P-384"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x23], "P-521"),
    (&[0x2b, 0x81, 0x04, 0x00, 0x0a], "secp256k1"),
    (&[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07], "brainpoolP256r1"),
    (&[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x0d], "brainpoolP512r1"),
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01], "Ed25519"),
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01], "Curve25519"),
];

/// Bytes that are read from their beginning.
pub(super) struct Bytes<'b>(pub &'b [u8]);

impl<'b> Bytes<'b> {
    pub fn take(&mut self, len: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(BROKEN)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of so many bytes, at most four.
    pub fn number(&mut self, len: usize) -> Result<u32, String> {
        Ok(self.take(len)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    pub fn byte(&mut self) -> Result<u8, String> {
        self.take(1)?.first().copied().ok_or_else(|| BROKEN.to_owned())
    }

    /// A whole number of any size, as the bytes from its first that is not zero on, and its length in bits.
    pub fn integer(&mut self) -> Result<(&'b [u8], usize), String> {
        let bits = self.number(2)? as usize;
        Ok((self.take(bits.div_ceil(8))?, bits))
    }

    /// A packet: its kind and its content.
    pub fn packet(&mut self) -> Result<(u8, &'b [u8]), String> {
        let head = self.byte()?;
        let (tag, len) = match (head & 0xc0, head & 0x03) {
            (0xc0, _) => (head & 0x3f, self.len(false)?),
            (0x80, kind @ 0..=2) => (head >> 2 & 0x0f, self.number(1 << kind)? as usize),
            _ => return Err(BROKEN.to_owned()),
        };
        Ok((tag, self.take(len)?))
    }

    /// A length as packets of the new format and subpackets have it. Only of subpackets 224 to 254 begin two bytes.
    fn len(&mut self, of_subpacket: bool) -> Result<usize, String> {
        let first = self.byte()?;
        match first {
            0..=191 => Ok(usize::from(first)),
            255 => Ok(self.number(4)? as usize),
            224..=254 if !of_subpacket => Err(BROKEN.to_owned()),
            _ => Ok((usize::from(first) - 192) * 256 + usize::from(self.byte()?) + 192),
        }
    }

    /// A subpacket of a signature: its kind, without the mark of those that must be understood, and its content.
    fn subpacket(&mut self) -> Result<(u8, &'b [u8]), String> {
        let len = self.len(true)?;
        let (kind, content) = self.take(len)?.split_first().ok_or(BROKEN)?;
        Ok((kind & 0x7f, content))
    }
}

/// A key or a subkey.
pub(super) struct KeyPacket<'b> {
    pub body: &'b [u8],
    pub created: u32,
    pub algorithm: Algorithm,
    /// The numbers of an RSA key, modulus and exponent, or the point of one on a curve.
    pub numbers: Vec<&'b [u8]>,
}

impl<'b> KeyPacket<'b> {
    pub fn read(body: &'b [u8]) -> Result<Self, String> {
        let mut bytes = Bytes(body);
        let version = bytes.byte()?;
        if version != 4 {
            return Err(format!("it is a key of version {version}, and programs of MIG's time read version 4"));
        }
        let (created, number) = (bytes.number(4)?, bytes.byte()?);
        let curve = |bytes: &mut Bytes<'b>| {
            let len = bytes.byte()?;
            let oid = bytes.take(len.into())?;
            Ok::<_, String>(CURVES.iter().find(|(known, _)| *known == oid).map_or("unknown", |(_, name)| *name))
        };
        let curve = if matches!(number, 18 | 19 | 22) { curve(&mut bytes)? } else { "" };
        let count = match number {
            1..=3 => 2,
            16 => 3,
            17 => 4,
            18 | 19 | 22 => 1,
            _ => 0,
        };
        let integers = (0..count).map(|_| bytes.integer()).collect::<Result<Vec<_>, _>>()?;
        let bits = integers.first().map_or(0, |(_, bits)| *bits);
        let algorithm = match number {
            1..=3 => Algorithm::Rsa { bits },
            16 => Algorithm::Elgamal { bits },
            17 => Algorithm::Dsa { bits },
            18 => Algorithm::Ecdh { curve },
            19 => Algorithm::Ecdsa { curve },
            22 => Algorithm::Eddsa { curve },
            other => Algorithm::Other(other),
        };
        Ok(Self { body, created, algorithm, numbers: integers.into_iter().map(|(bytes, _)| bytes).collect() })
    }
}

/// A signature of version 4.
pub(super) struct Signature<'b> {
    pub kind: u8,
    pub hash: u8,
    pub created: u32,
    /// How long the key counts after it was made. Zero is for ever.
    pub key_expires_after: u32,
    pub issuer: Option<&'b [u8]>,
    /// What of itself is signed.
    pub signed: &'b [u8],
    pub numbers: Vec<&'b [u8]>,
}

impl<'b> Signature<'b> {
    /// `None` is one of another version, which no key of ours is bound by.
    pub fn read(body: &'b [u8]) -> Result<Option<Self>, String> {
        let mut bytes = Bytes(body);
        if bytes.byte()? != 4 {
            return Ok(None);
        }
        let (kind, algorithm, hash) = (bytes.byte()?, bytes.byte()?, bytes.byte()?);
        let len = bytes.number(2)? as usize;
        let mut hashed = Bytes(bytes.take(len)?);
        let signed = body.get(..len + 6).ok_or(BROKEN)?;
        let len = bytes.number(2)? as usize;
        let mut beside = Bytes(bytes.take(len)?);
        bytes.take(2)?;
        let count = if matches!(algorithm, 1..=3) { 1 } else { 2 };
        let numbers = (0..count).map_while(|_| bytes.integer().ok()).map(|(bytes, _)| bytes).collect();
        let mut signature = Self { kind, hash, created: 0, key_expires_after: 0, issuer: None, signed, numbers };
        while !hashed.0.is_empty() {
            match hashed.subpacket()? {
                (2, time) => signature.created = Bytes(time).number(4)?,
                (9, time) => signature.key_expires_after = Bytes(time).number(4)?,
                (16, issuer) => signature.issuer = Some(issuer),
                _ => (),
            }
        }
        while !beside.0.is_empty() {
            if let (16, issuer) = beside.subpacket()? {
                signature.issuer = Some(issuer);
            }
        }
        Ok(Some(signature))
    }
}
