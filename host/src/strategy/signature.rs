//! Who vouches for a strategy's bytes: Ed25519 (RFC 8032) over the whole file, as `openssl pkeyutl -sign -rawin` makes it.
//!
//! Keys are in PEM: a secret one as PKCS#8, a public one as SubjectPublicKeyInfo (RFC 8410), both as OpenSSL writes and
//! reads them. A server knows public keys only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Bytes of a public key, and of a secret one.
const KEY_BYTES: usize = 32;

/// What stands before the bytes of a secret key in PKCS#8 (RFC 8410, section 7).
const SECRET_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// What stands before those of a public key (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No secret key.
    #[error("it is no secret Ed25519 key in PEM (PKCS#8): make one with `signalbox key generate`")]
    Secret,
    /// No public key.
    #[error("it is no public Ed25519 key: 32 bytes in Base64, or PEM as `signalbox key generate` writes it")]
    Public,
    /// The system gives no random bytes.
    #[error("the system has no randomness")]
    Random,
}

/// A key that signs. Never leaves the machine of whoever releases.
pub struct SecretKey {
    pair: Ed25519KeyPair,
}

impl SecretKey {
    /// A new one, and its PEM.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<(Self, String), KeyError> {
        let mut seed = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::Random)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Secret)?;
        Ok((Self { pair }, pem("PRIVATE KEY", &[SECRET_PREFIX.as_slice(), &seed].concat())))
    }

    /// One out of its PEM.
    ///
    /// # Errors
    /// [`KeyError::Secret`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let der = inside(text, "PRIVATE KEY").ok_or(KeyError::Secret)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| KeyError::Secret)?;
        Ok(Self { pair })
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature of some bytes, in Base64.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(bytes))
    }
}

/// A key that verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; KEY_BYTES]);

impl PublicKey {
    /// Its PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &[PUBLIC_PREFIX.as_slice(), &self.0].concat())
    }

    /// Whether the secret key that belongs to it signed exactly these bytes.
    #[must_use]
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, signature).is_ok()
    }
}

/// Base64 of its bytes.
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

/// Of Base64, or of PEM.
impl std::str::FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = match inside(text, "PUBLIC KEY") {
            Some(der) => der.strip_prefix(PUBLIC_PREFIX.as_slice()).map(<[u8]>::to_vec),
            None => STANDARD.decode(text.trim()).ok(),
        };
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(KeyError::Public)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// The bytes between the lines that say what they are.
fn inside(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410, section 10.3, and the key of section 10.1.
    const SECRET: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

    #[test]
    fn the_keys_of_rfc_8410_are_read_and_written_as_they_stand_there() {
        let public = SecretKey::from_pem(SECRET).unwrap().public();
        assert_eq!(public.pem(), PUBLIC);
        assert_eq!(PUBLIC.parse(), Ok(public));
        assert_eq!(public.to_string().parse(), Ok(public));
    }

    #[test]
    fn a_signature_holds_for_its_bytes_and_its_key_only() {
        let (secret, text) = SecretKey::generate().unwrap();
        let signature = STANDARD.decode(SecretKey::from_pem(&text).unwrap().sign(b"bytes")).unwrap();
        assert_eq!(signature.len(), SIGNATURE_BYTES);
        assert!(secret.public().verifies(b"bytes", &signature));
        assert!(!secret.public().verifies(b"Bytes", &signature));
        assert!(!secret.public().verifies(b"bytes", &signature[..63]));
        assert!(!SecretKey::from_pem(SECRET).unwrap().public().verifies(b"bytes", &signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!("".parse::<PublicKey>(), Err(KeyError::Public));
        assert_eq!(SECRET.parse::<PublicKey>(), Err(KeyError::Public));
        assert_eq!(SecretKey::from_pem(PUBLIC).map(|_| ()), Err(KeyError::Secret));
    }
}
