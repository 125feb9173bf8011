//! Argon2 (RFC 9106).

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use zeroize::Zeroizing;

use super::{HashRefused, equal, numbers, parts};
use crate::domain::password::MOST_COSTLY;

/// 128 MiB, passes and lanes.
const MOST_COSTLY_FOREIGN: (u32, u32, u32) = (128 * 1024, 10, 16);

pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Argon2Hash {
    /// One that this program has made, with parameters that the operator chose.
    pub(super) fn own(hash: &PasswordHash) -> Result<Self, HashRefused> {
        let this = Self::parse(hash)?;
        if this.algorithm != Algorithm::Argon2id || this.version != Version::V0x13 {
            return Err(HashRefused::Malformed);
        }
        this.within(MOST_COSTLY)
    }

    /// One that another system has made.
    pub(super) fn foreign(hash: &PasswordHash) -> Result<Self, HashRefused> {
        Self::parse(hash)?.within(MOST_COSTLY_FOREIGN)
    }

    fn within(self, (memory, passes, lanes): (u32, u32, u32)) -> Result<Self, HashRefused> {
        let costs = self.costs();
        if costs.0 > memory || costs.1 > passes || costs.2 > lanes {
            return Err(HashRefused::TooCostly);
        }
        Ok(self)
    }

    fn parse(hash: &PasswordHash) -> Result<Self, HashRefused> {
        let algorithm = hash.algorithm.as_str().parse().map_err(|_| HashRefused::UnknownScheme)?;
        // The first version wrote none.
        let version = match hash.version {
            None | Some(0x10) => Version::V0x10,
            Some(0x13) => Version::V0x13,
            Some(_) => return Err(HashRefused::UnknownScheme),
        };
        // A key or associated data would have to come from elsewhere.
        let [Some(memory), Some(passes), Some(lanes)] = numbers(hash, ["m", "t", "p"])? else {
            return Err(HashRefused::Malformed);
        };
        let params = Params::new(memory, passes, lanes, None).map_err(|_| HashRefused::Malformed)?;
        let (salt, output) = parts(hash)?;
        Ok(Self { algorithm, version, params, salt, output })
    }

    pub(super) fn is_of(&self, password: &[u8], memory: &mut [Block]) -> Result<bool, HashRefused> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut own = Vec::new();
        let blocks = self.params.block_count();
        let memory = if memory.len() < blocks {
            // Given back after it: what one hash needs more than those of today must not stay taken.
            own.resize(blocks, Block::default());
            &mut own
        } else {
            memory
        };
        let mut output = Zeroizing::new(vec![0; self.output.len()]);
        argon2
            .hash_password_into_with_memory(password, &self.salt, &mut output, memory)
            .map_err(|_| HashRefused::Malformed)?;
        Ok(equal(&output, &self.output))
    }

    pub(super) fn is_made_with(&self, params: &Params) -> bool {
        self.costs() == (params.m_cost(), params.t_cost(), params.p_cost())
    }

    fn costs(&self) -> (u32, u32, u32) {
        (self.params.m_cost(), self.params.t_cost(), self.params.p_cost())
    }
}
