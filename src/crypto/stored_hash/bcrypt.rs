//! bcrypt, exactly as bcryptjs has it: the one of Strapi and of most of Node.js.

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use zeroize::Zeroizing;

use super::{HashRefused, equal};

/// Each step takes twice as long: 14 is about a second, 31 would be a day and a half.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// The key schedule reads so many bytes and no more.
const KEY_BYTES: usize = 72;
/// `$2b$10$`, then 22 characters of salt and 31 of output.
const LENGTH: usize = 60;

/// An alphabet of its own. One spelling only: spare bits must be zero.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);

pub(super) struct BcryptHash {
    cost: u32,
    salt: [u8; 16],
    /// One byte less than is computed: that is how bcrypt writes it.
    output: [u8; 23],
}

impl BcryptHash {
    pub(super) fn parse(hash: &str) -> Result<Self, HashRefused> {
        // `$2$` and `$2x$` mark the hashes of implementations with other bugs.
        let known = ["$2a$", "$2b$", "$2y$"];
        let rest = known.iter().find_map(|prefix| hash.strip_prefix(prefix));
        let rest = rest.ok_or(HashRefused::UnknownScheme)?;
        if hash.len() != LENGTH || !hash.is_ascii() {
            return Err(HashRefused::Malformed);
        }
        let (cost, encoded) = rest.split_once('$').ok_or(HashRefused::Malformed)?;
        if cost.len() != 2 || !cost.bytes().all(|b| b.is_ascii_digit()) || encoded.len() != 53 {
            return Err(HashRefused::Malformed);
        }
        let cost = cost.parse().map_err(|_| HashRefused::Malformed)?;
        if cost > *COSTS.end() {
            return Err(HashRefused::TooCostly);
        }
        if cost < *COSTS.start() {
            return Err(HashRefused::Malformed);
        }
        let (salt, output) = encoded.split_at(22);
        Ok(Self { cost, salt: decode(salt)?, output: decode(output)? })
    }

    /// bcryptjs puts a zero byte behind the password and reads the first 72 bytes, over again when there are fewer. A zero
    /// byte within the password is a byte like any other.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        let key: Zeroizing<Vec<u8>> =
            Zeroizing::new(password.iter().copied().chain([0]).take(KEY_BYTES).collect());
        let computed = Zeroizing::new(bcrypt::bcrypt(self.cost, self.salt, &key));
        equal(&computed[..self.output.len()], &self.output)
    }
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], HashRefused> {
    let bytes = BASE64.decode(text).map_err(|_| HashRefused::Malformed)?;
    bytes.try_into().map_err(|_| HashRefused::Malformed)
}
