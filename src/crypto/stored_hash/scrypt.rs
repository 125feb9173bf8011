//! scrypt (RFC 7914), as a PHC string: `$scrypt$ln=15,r=8,p=1$salt$output`.

use argon2::PasswordHash;
use scrypt::Params;
use zeroize::Zeroizing;

use super::{HashRefused, equal, numbers, parts};

/// 128 MiB at a time.
const MAX_MEMORY: u64 = 128 << 20;
/// And twice as much one after the other: every choice of parameters that OWASP names is within it.
const MAX_WORK: u64 = 256 << 20;

pub(super) struct ScryptHash {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl ScryptHash {
    pub(super) fn parse(hash: &PasswordHash) -> Result<Self, HashRefused> {
        let [Some(log_n), Some(r), Some(p)] = numbers(hash, ["ln", "r", "p"])? else {
            return Err(HashRefused::Malformed);
        };
        if hash.version.is_some() || log_n == 0 || r == 0 || p == 0 {
            return Err(HashRefused::Malformed);
        }
        let memory = 1_u64
            .checked_shl(log_n)
            .filter(|_| log_n < 32)
            .map(|n| n * 128)
            .and_then(|n| n.checked_mul(r.into()));
        let memory = memory.filter(|memory| *memory <= MAX_MEMORY).ok_or(HashRefused::TooCostly)?;
        if memory.checked_mul(p.into()).is_none_or(|work| work > MAX_WORK) {
            return Err(HashRefused::TooCostly);
        }
        let log_n = u8::try_from(log_n).map_err(|_| HashRefused::TooCostly)?;
        let params = Params::new(log_n, r, p).map_err(|_| HashRefused::Malformed)?;
        let (salt, output) = parts(hash)?;
        Ok(Self { params, salt, output })
    }

    pub(super) fn is_of(&self, password: &[u8]) -> Result<bool, HashRefused> {
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        scrypt::scrypt(password, &self.salt, &self.params, &mut output)
            .map_err(|_| HashRefused::Malformed)?;
        Ok(equal(&output, &self.output))
    }
}
