//! Statements on `signing_keys`.

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use time::OffsetDateTime;

use super::{
    Store, StoreError, Tx,
    entity::{SecretBytes, signing_keys},
    from_millis, to_millis,
};

/// A signing key as it is stored. Its private half is encrypted; see `crypto::keyring`.
pub struct StoredKey {
    /// The key id.
    pub kid: String,
    /// Which server secret it is sealed under.
    pub slot: u8,
    /// The encrypted private key.
    pub sealed: Vec<u8>,
    /// From when on it signs.
    pub active_from: OffsetDateTime,
}

/// The keys that are not retired, the one that signs last first.
///
/// # Errors
/// When the database cannot, or a row is impossible.
pub async fn list(store: &Store) -> Result<Vec<StoredKey>, StoreError> {
    let rows = signing_keys::Entity::find()
        .filter(signing_keys::Column::RetiredAt.is_null())
        .order_by_desc(signing_keys::Column::ActiveFrom)
        .all(&store.reader)
        .await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Whether there is a key that is not retired.
///
/// # Errors
/// When the database cannot.
pub async fn any(tx: &Tx) -> Result<bool, StoreError> {
    let kept = signing_keys::Entity::find().filter(signing_keys::Column::RetiredAt.is_null());
    Ok(kept.count(tx.connection()).await? > 0)
}

/// Adds a key.
///
/// # Errors
/// When the database cannot.
pub async fn insert(tx: &Tx, key: &StoredKey, now: OffsetDateTime) -> Result<(), StoreError> {
    let row = signing_keys::ActiveModel {
        kid: Set(key.kid.clone()),
        algorithm: Set(ALGORITHM.to_owned()),
        slot: Set(i16::from(key.slot)),
        sealed_key: Set(SecretBytes(key.sealed.clone())),
        created_at: Set(to_millis(now)),
        retired_at: Set(None),
        active_from: Set(to_millis(key.active_from)),
    };
    signing_keys::Entity::insert(row).exec_without_returning(tx.connection()).await?;
    Ok(())
}

const ALGORITHM: &str = "ES256";

impl TryFrom<signing_keys::Model> for StoredKey {
    type Error = StoreError;

    fn try_from(row: signing_keys::Model) -> Result<Self, StoreError> {
        let corrupt = |what| StoreError::Corrupt { table: "signing_keys", id: row.kid.clone(), what };
        if row.algorithm != ALGORITHM {
            return Err(corrupt("algorithm"));
        }
        let slot = row.slot.try_into().map_err(|_| corrupt("slot"))?;
        let active_from = from_millis(row.active_from).ok_or_else(|| corrupt("active_from"))?;
        Ok(Self { slot, active_from, kid: row.kid, sealed: row.sealed_key.0 })
    }
}
